-- Note an event when the dead letters reach a number; once, until they are fewer again.
--
-- dead         zset    read
-- alerts       zset    += event
-- alerts:dead  string  set while the event holds
--
-- ARGV: number, now, event
-- Returns how many dead letters there are

local count = redis.call('ZCARD', PREFIX .. 'dead')
local raised = PREFIX .. 'alerts:dead'
if count < tonumber(ARGV[1]) then
  redis.call('DEL', raised)
elseif redis.call('SET', raised, ARGV[2], 'NX') then
  redis.call('ZADD', PREFIX .. 'alerts', ARGV[2], ARGV[3])
end
return count
