-- A worker cannot do something: since when has no living worker been able to do it?
--
-- unable:<subject>  hash  worker → when it said so last; since: when the first did, while nobody could
--
-- ARGV: subject, worker, now, '1' where another living worker may be able to
-- Returns since

local key, now = PREFIX .. 'unable:' .. ARGV[1], ARGV[3]
if ARGV[4] == '1' then redis.call('HSET', key, 'since', now) else redis.call('HSETNX', key, 'since', now) end
redis.call('HSET', key, ARGV[2], now)
-- More than twice the longest wait of a batch: a worker that says nothing for so long has no such batch
-- any more.
redis.call('EXPIRE', key, 900)
return redis.call('HGET', key, 'since')
