-- Take one event of which nobody was told yet. The taker has until the end of the lease to tell somebody.
--
-- alerts  zset  event → end of the lease
--
-- ARGV: now, end of the lease
-- Returns the event, or false

local due = redis.call('ZRANGEBYSCORE', PREFIX .. 'alerts', '-inf', ARGV[1], 'LIMIT', 0, 1)
if not due[1] then return false end
redis.call('ZADD', PREFIX .. 'alerts', ARGV[2], due[1])
return due[1]
