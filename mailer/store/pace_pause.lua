-- Pause an account, or let it go on.
--
-- pace:<a>  hash  until, why; a later pause that is there already stays
--
-- ARGV: account, until (0: forget all that replies have said), why
-- Returns the time until which it pauses

local key, long = PREFIX .. 'pace:' .. ARGV[1], tonumber(ARGV[2])
if long == 0 then
  redis.call('DEL', key)
  return '0'
end
local known = tonumber(redis.call('HGET', key, 'until') or '0')
if known >= long then return tostring(known) end
redis.call('HSET', key, 'until', ARGV[2], 'why', ARGV[3])
local last = math.ceil(long) + 900
if redis.call('TTL', key) < last - clock('') then redis.call('EXPIREAT', key, last) end
return ARGV[2]
