-- An operator, or a probe that succeeded, starts or stops an account.
--
-- account:<a>  hash  state := stopped; or removed: unknown, until the next login
-- alerts       zset  += event, where this changes whether the account is stopped
-- accounts     set   += account
--
-- ARGV: account, now, 'start' | 'stop', reason, event
-- Returns the state before, 'unknown' where there was none

local key, now = PREFIX .. 'account:' .. ARGV[1], ARGV[2]
local before = redis.call('HGET', key, 'state') or 'unknown'
redis.call('SADD', PREFIX .. 'accounts', ARGV[1])
if ARGV[3] == 'stop' then
  if before == 'stopped' then return before end
  redis.call('HSET', key, 'state', 'stopped', 'since', now, 'reason', ARGV[4])
  redis.call('HDEL', key, 'until', 'coolings', 'reauth', 'said', 'suspected', 'suspected_last')
  redis.call('ZADD', PREFIX .. 'alerts', now, ARGV[5])
  return before
end
if before == 'running' then return before end
redis.call('HDEL', key, 'state', 'until', 'coolings', 'reauth', 'reason', 'said', 'suspected', 'suspected_last')
redis.call('HSET', key, 'since', now)
if before == 'stopped' then redis.call('ZADD', PREFIX .. 'alerts', now, ARGV[5]) end
return before
