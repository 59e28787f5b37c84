-- Does Redis take writes, and may this user do all that the scripts do: each command once, on keys of its own.
--
-- serving    string  written to see whether Redis takes writes, as are
-- serving:h  hash, serving:z  zset, serving:s  set, serving:x  stream, serving:t  string: gone at the end
--
-- ARGV: –
-- Returns: 1. Raises what is said of the first that is refused: before Redis 7.0, a right that is missing
-- would end one of the other scripts in its middle, and what that has written stays.

local text, other = PREFIX .. 'serving', PREFIX .. 'serving:t'
local hash, sorted = PREFIX .. 'serving:h', PREFIX .. 'serving:z'
local set, stream = PREFIX .. 'serving:s', PREFIX .. 'serving:x'

redis.call('SET', text, '1', 'PX', 1000)
redis.call('DEL', other, hash, sorted, set, stream)

redis.call('TIME')
redis.call('EXISTS', text)
redis.call('INCR', other)
redis.call('INCRBY', other, 1)
redis.call('SETRANGE', other, 0, '1')
redis.call('GET', other)
redis.call('GETRANGE', other, 0, 0)
redis.call('STRLEN', other)
redis.call('EXPIRE', other, 1)
redis.call('TTL', other)
redis.call('RENAME', other, other)

redis.call('HSET', hash, 'a', 1)
redis.call('HSETNX', hash, 'b', 1)
redis.call('HINCRBY', hash, 'a', 1)
redis.call('HGET', hash, 'a')
redis.call('HMGET', hash, 'a')
redis.call('HGETALL', hash)
redis.call('HKEYS', hash)
redis.call('HVALS', hash)
redis.call('HLEN', hash)
redis.call('HEXISTS', hash, 'a')
redis.call('HSCAN', hash, 0)
redis.call('HDEL', hash, 'a')

redis.call('ZADD', sorted, 1, 'a', 2, 'b')
redis.call('ZINCRBY', sorted, 1, 'a')
redis.call('ZSCORE', sorted, 'a')
redis.call('ZCARD', sorted)
redis.call('ZCOUNT', sorted, 0, 1)
redis.call('ZRANGE', sorted, 0, 0)
redis.call('ZRANGEBYSCORE', sorted, 0, 1)
redis.call('ZREMRANGEBYSCORE', sorted, 0, 0)
redis.call('ZPOPMIN', sorted)
redis.call('ZREM', sorted, 'b')

redis.call('SADD', set, 'a')
redis.call('SISMEMBER', set, 'a')
redis.call('SREM', set, 'a')

local entry = redis.call('XADD', stream, '*', 'a', 1)
redis.call('XLEN', stream)
redis.call('XRANGE', stream, '-', '+')
redis.call('XREVRANGE', stream, '+', '-')
redis.call('XTRIM', stream, 'MAXLEN', 1)
redis.call('XDEL', stream, entry)

redis.call('DEL', text, other, hash, sorted, set, stream)
return 1
