-- Pause, resume or cancel a campaign. Workers see it at their next commit, within a second.
--
-- campaign:<c>  hash  state
-- resumed       set   += campaign, unless it is paused: the sweep wakes what is parked for it
--
-- ARGV: campaign, 'paused' | 'running' | 'cancelled'
-- Returns the state before, or false where there is no such campaign; a cancelled one stays cancelled

local key = PREFIX .. 'campaign:' .. ARGV[1]
local before = redis.call('HGET', key, 'state')
if before and before ~= 'cancelled' and before ~= ARGV[2] then
  redis.call('HSET', key, 'state', ARGV[2])
  redis.call(ARGV[2] == 'paused' and 'SREM' or 'SADD', PREFIX .. 'resumed', ARGV[1])
end
return before
