-- Record outcomes, mark who is about to be transmitted, renew the lease, and say whether to go on.
--
-- status:<c>    string  'a' for accepted, 't' for starting, the letter of each other
-- counts:<c>    hash    by the same changes
-- detail:<c>    hash    += those that were not accepted, -= those accepted after a deferral
-- batch:<ref>   hash    open -= those that became final
-- timers        zset    ref → end of the lease
-- rate:<c>:<s>  string  += recipients that became final in these ten seconds, for a minute
-- campaign:<c>, account:<a> hash, queued:priority zset: read
--
-- ARGV: ref, fence, now, end of the lease, '1' to yield to single messages, account,
--       accepted ('3,5,9'), accepted that had a detail, starting, then position, letter, detail, …
-- Returns 'go' | 'paused' | 'cancelled' | 'stopped' (the account) | 'urgent' (a single message waits)
--   | 'lost' (the lease is another's; nothing was written). Unless 'go', starting was not marked.
-- One that has waited for URGENT seconds makes nobody hurry: its task message is lost, and the sweep's.

local URGENT = 10
local ref, fence, now, ends, yields, account = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local campaign = campaign_of(ref)
if not holds(ref, fence, now) then return 'lost' end

local changes, settled = {}, 0
for position in string.gmatch(ARGV[7], '%d+') do
  if OPEN[move(campaign, position, 'a', changes)] then settled = settled + 1 end
end
for position in string.gmatch(ARGV[8], '%d+') do
  redis.call('HDEL', PREFIX .. 'detail:' .. campaign, position)
end
for i = 10, #ARGV, 3 do
  local position, letter, detail = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local old = move(campaign, position, letter, changes)
  if OPEN[old] and not OPEN[letter] then settled = settled + 1 end
  if OPEN[old] and detail ~= '' then redis.call('HSET', PREFIX .. 'detail:' .. campaign, position, detail) end
end

local verdict = 'go'
local state = redis.call('HGET', PREFIX .. 'campaign:' .. campaign, 'state')
if state == 'paused' or state == 'cancelled' then
  verdict = state
elseif redis.call('HGET', PREFIX .. 'account:' .. account, 'state') == 'stopped' then
  verdict = 'stopped'
elseif yields == '1'
       and redis.call('ZCOUNT', PREFIX .. 'queued:priority', now - URGENT, now - 0.2) > 0 then
  verdict = 'urgent'
end
if verdict == 'go' then
  for position in string.gmatch(ARGV[9], '%d+') do move(campaign, position, 't', changes) end
end

count(campaign, changes)
if settled > 0 then
  redis.call('HINCRBY', PREFIX .. 'batch:' .. ref, 'open', -settled)
  local bucket = PREFIX .. 'rate:' .. campaign .. ':' .. math.floor(now / 10)
  if redis.call('INCRBY', bucket, settled) == settled then redis.call('EXPIRE', bucket, 120) end
  redis.call('HSET', PREFIX .. 'campaign:' .. campaign, 'active', now)
end
redis.call('ZADD', PREFIX .. 'timers', ends, ref)
return verdict
