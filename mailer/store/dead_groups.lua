-- How many dead letters there are of each reason, account and campaign; counted anew where the counts do not
-- add up (an older version buried or exhumed), or are older than an hour.
--
-- dead:groups  hash  read; written anew
-- dead         zset  read
-- dead:<id>    hash  read, where it is counted anew
--
-- ARGV: now
-- Returns the hash: field, number, …

local key, now = PREFIX .. 'dead:groups', tonumber(ARGV[1])
local known = redis.call('HMGET', key, '#', 'at')
local number = redis.call('ZCARD', PREFIX .. 'dead')
local adds_up = (tonumber(known[1]) or 0) == number
if not adds_up or (number > 0 and (tonumber(known[2]) or 0) < now - 3600) then
  redis.call('DEL', key)
  for _, id in ipairs(redis.call('ZRANGE', PREFIX .. 'dead', 0, -1)) do
    local letter = redis.call('HMGET', PREFIX .. 'dead:' .. id, 'reason', 'account', 'campaign', 'messages')
    if letter[1] then
      count_dead(letter[1], letter[2], letter[3], tonumber(letter[4]), 1)
    else
      redis.call('HINCRBY', key, '#', 1)
    end
  end
  redis.call('HSET', key, 'at', now)
end
return redis.call('HGETALL', key)
