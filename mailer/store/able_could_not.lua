-- A worker cannot do something; since when has no living worker been able to.
--
-- unable:<subject>  hash  worker → when it said so last; since: when the first did, while nobody could
--
-- ARGV: subject, worker, now, '1' where another living worker may be able to
-- Returns since

local key, now = PREFIX .. 'unable:' .. ARGV[1], ARGV[3]
if ARGV[4] == '1' then redis.call('HSET', key, 'since', now) else redis.call('HSETNX', key, 'since', now) end
redis.call('HSET', key, ARGV[2], now)
-- Twice the longest wait of a batch and some more: who is silent for so long has nothing to give back.
redis.call('EXPIRE', key, 900)
return redis.call('HGET', key, 'since')
