-- An account met trouble: stop it, let it cool, or doubt its login.
--
-- account:<a>  hash  state, since, until, reason, said, coolings, reauth, failed; suspected: since when,
--                    suspected_last: when for the last time
-- logins:<a>   zset  -= owner
-- alerts       zset  += event, where the account was not stopped before
-- accounts     set   += account
--
-- ARGV: account, owner, now, 'stops' | 'suspected' | 'doubted' | 'rests' | 'cools', reason,
--       what was said (msgpack),
--       '1' if a login failed, until ('0': by itself), first delay, longest delay,
--       factor of the jitter, seconds within which a second doubt stops, event,
--       what was said, for the case that it stops (msgpack), seconds after which a suspicion stops,
--       seconds after which it lapses
-- Returns the new state

local account, owner, now, how, reason = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local key = PREFIX .. 'account:' .. account
local fields = redis.call('HMGET', key, 'state', 'until', 'coolings', 'reason', 'reauth', 'succeeded',
  'suspected', 'suspected_last')
local state, until_ = fields[1] or 'unknown', tonumber(fields[2] or '0')

redis.call('ZREM', PREFIX .. 'logins:' .. account, owner)
redis.call('SADD', PREFIX .. 'accounts', account)
if ARGV[7] == '1' then redis.call('HINCRBY', key, 'failed', 1) end
if state == 'stopped' then
  if how == 'stops' and fields[4] ~= 'operator' then
    redis.call('HSET', key, 'reason', reason, 'said', ARGV[6])
  end
  return 'stopped'
end

if how == 'doubted' then
  local doubted = tonumber(fields[5] or '0')
  if now - doubted < tonumber(ARGV[12]) and tonumber(fields[6] or '0') > doubted then
    how = 'stops'
  else
    redis.call('HSET', key, 'reauth', ARGV[3], 'reason', reason, 'said', ARGV[6])
    redis.call('HDEL', key, 'state', 'until')
    return 'unknown'
  end
end

-- What was said before TLS is verified may be anybody's. It counts only if it lasts.
if how == 'suspected' then
  local since, last = tonumber(fields[7] or ARGV[3]), tonumber(fields[8] or ARGV[3])
  if now - last > tonumber(ARGV[16]) then since = now end
  redis.call('HSET', key, 'suspected', string.format('%.3f', since), 'suspected_last', ARGV[3])
  if now - since >= tonumber(ARGV[15]) then how = 'stops' end
end

if how == 'stops' then
  redis.call('HSET', key, 'state', 'stopped', 'since', ARGV[3], 'reason', reason, 'said', ARGV[14])
  redis.call('HDEL', key, 'until', 'coolings', 'reauth', 'suspected', 'suspected_last')
  redis.call('ZADD', PREFIX .. 'alerts', ARGV[3], ARGV[13])
  return 'stopped'
end

-- Several sessions may meet the same trouble at once: only the first makes the delay grow.
if state == 'cooling' and until_ > now then
  if tonumber(ARGV[8]) > until_ then
    redis.call('HSET', key, 'until', ARGV[8], 'reason', reason, 'said', ARGV[6])
  end
  return 'cooling'
end
local ends = ARGV[8]
if ends == '0' then
  local coolings = redis.call('HINCRBY', key, 'coolings', 1)
  local delay = math.min(tonumber(ARGV[9]) * 2 ^ math.min(coolings - 1, 30), tonumber(ARGV[10]))
  ends = string.format('%.3f', now + delay * tonumber(ARGV[11]))
end
redis.call('HSET', key, 'state', 'cooling', 'until', ends, 'reason', reason, 'said', ARGV[6])
if state ~= 'cooling' then redis.call('HSET', key, 'since', ARGV[3]) end
return 'cooling'
