-- Pause, resume or cancel a campaign. Workers see it at their next commit, within a second.
--
-- campaign:<c>  hash  state; why := the reason, or removed
-- resumed       set   += campaign, unless it is paused: the sweep wakes what is parked for it
--
-- ARGV: campaign, 'paused' | 'running' | 'cancelled', why ('': a person said so)
-- Returns the state before, or false where there is no such campaign; a cancelled one stays cancelled

local key = PREFIX .. 'campaign:' .. ARGV[1]
local before = redis.call('HGET', key, 'state')
if before and before ~= 'cancelled' and before ~= ARGV[2] then
  redis.call('HSET', key, 'state', ARGV[2])
  if ARGV[3] and ARGV[3] ~= '' then
    redis.call('HSET', key, 'why', ARGV[3])
  else
    redis.call('HDEL', key, 'why')
  end
  if ARGV[2] == 'paused' then
    redis.call('SREM', PREFIX .. 'resumed', ARGV[1])
  else
    redis.call('SADD', PREFIX .. 'resumed', ARGV[1])
  end
end
return before
