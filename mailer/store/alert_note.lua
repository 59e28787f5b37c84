-- Note an event that lasts: once, until it is over.
--
-- alerts      zset    += event
-- alerts:<s>  string  set while the event holds
--
-- ARGV: what it is about, '1' where it holds, now, event

local raised = PREFIX .. 'alerts:' .. ARGV[1]
if ARGV[2] == '' then
  redis.call('DEL', raised)
elseif redis.call('SET', raised, ARGV[3], 'NX') then
  redis.call('ZADD', PREFIX .. 'alerts', ARGV[3], ARGV[4])
end
