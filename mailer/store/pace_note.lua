-- Note how much an account without a configured rate sends, and say whether replies have slowed it.
--
-- meter:<a>  hash  second → messages, of the last four seconds
-- pace:<a>   hash  read
--
-- ARGV: account, now ('': by Redis's clock), messages
-- Returns 1 when permits must be asked for, else 0

local account, now, count = ARGV[1], clock(ARGV[2]), tonumber(ARGV[3])
local key = PREFIX .. 'meter:' .. account
local second = math.floor(now)
if count > 0 then
  redis.call('HINCRBY', key, second, count)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if tonumber(field) and tonumber(field) < second - 4 then redis.call('HDEL', key, field) end
  end
  redis.call('EXPIRE', key, 10)
end
local pace = pace_of(account)
if pace.base or pace.pause > now then return 1 end
return 0
