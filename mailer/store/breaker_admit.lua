-- May a process begin to log in? At most one does while the account is unknown, one of each process
-- while it is running, none while it is stopped or cooling. Who asks again before it has used its turn
-- keeps it, if nothing has happened to the account meanwhile.
--
-- account:<a>  hash  read: state, until; probed := now by a probe
-- logins:<a>   zset  += owner, until its turn lapses; lapsed ones go
-- accounts     set   += account
--
-- ARGV: account, owner, now, end of the turn, seconds since the last probe ('': no probe, an ordinary
--       login). A probe is a login to a stopped account; '0' is an operator's, who need not wait.
-- Returns 2: yes, and others may as well | 1: yes, and nobody else | 0: no

local account, owner, now, ends, every = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local key, logins = PREFIX .. 'account:' .. account, PREFIX .. 'logins:' .. account
local fields = redis.call('HMGET', key, 'state', 'until', 'since', 'probed', 'reason')
local state, since = fields[1], tonumber(fields[3] or '0')

redis.call('ZREMRANGEBYSCORE', logins, '-inf', now)
local turn = redis.call('ZSCORE', logins, owner)
if turn and every ~= '' then return 1 end  -- asked again: a probe asks once, so its reply was lost
if every == '' then
  if state == 'stopped' then return 0 end
  if state == 'cooling' and tonumber(fields[2] or '0') > now then return 0 end
elseif every ~= '0' then
  local last = math.max(since, tonumber(fields[4] or '0'))
  if state ~= 'stopped' or fields[5] == 'operator' then return 0 end
  if now - last < tonumber(every) then return 0 end
end
local others = redis.call('ZCARD', logins) - (turn and 1 or 0)
if state ~= 'running' and others > 0 then return 0 end
if every ~= '' then redis.call('HSET', key, 'probed', ARGV[3]) end
redis.call('ZADD', logins, ends, owner)
redis.call('SADD', PREFIX .. 'accounts', account)
return state == 'running' and 2 or 1
