-- A login succeeded: the account is known to be good. One that was stopped meanwhile stays stopped.
--
-- account:<a>  hash  state := running, succeeded := now, ok += 1; delays are forgotten
-- logins:<a>   zset  -= owner
--
-- ARGV: account, owner, now
-- Returns the state

local account, now = ARGV[1], ARGV[3]
local key = PREFIX .. 'account:' .. account
redis.call('ZREM', PREFIX .. 'logins:' .. account, ARGV[2])
redis.call('SADD', PREFIX .. 'accounts', account)
redis.call('HINCRBY', key, 'ok', 1)
redis.call('HSET', key, 'succeeded', now)
local state = redis.call('HGET', key, 'state')
if state == 'stopped' then return state end
redis.call('HDEL', key, 'suspected', 'suspected_last')
if state == 'running' then return state end
redis.call('HSET', key, 'state', 'running', 'since', now)
redis.call('HDEL', key, 'until', 'coolings', 'reason', 'said')
return 'running'
