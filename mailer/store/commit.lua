-- Record outcomes, mark who is about to be transmitted, renew the lease, and say whether to go on.
--
-- status:<c>    string  'a' for accepted, 't' for starting, the letter of each other
-- counts:<c>    hash    by the same changes
-- detail:<c>    hash    += those that were not accepted, -= those accepted after a deferral
-- timers        zset    ref → end of the lease, where it is to be renewed
-- rate:<c>:<s>  string  += recipients that became final in these ten seconds, for a minute
-- campaign:<c>, account:<a> hash, queued:priority zset: read
--
-- ARGV: ref, fence, now, end of the lease ('': not to be renewed), '1' to yield to single messages,
--       account, accepted ('3,5,9'), accepted that had a detail, starting, lowest and highest of all
--       positions, then position, letter, detail, …
-- Returns 'go' | 'paused' | 'cancelled' | 'stopped' (the account) | 'urgent' (a single message waits)
--   | 'lost' (the lease is another's; nothing was written). Unless 'go', starting was not marked.
-- One that has waited for URGENT seconds makes nobody hurry: its task message is lost, and the sweep's.

local URGENT = 10
local ref, fence, now, ends, yields, account = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local campaign = campaign_of(ref)
if not holds(ref, fence, now) then return 'lost' end

local roll, settled = roll_of(campaign, tonumber(ARGV[10]), tonumber(ARGV[11])), 0
for position in string.gmatch(ARGV[7], '%d+') do
  if OPEN[move(roll, position, 'a')] then settled = settled + 1 end
end
for position in string.gmatch(ARGV[8], '%d+') do
  redis.call('HDEL', PREFIX .. 'detail:' .. campaign, position)
end
for i = 12, #ARGV, 3 do
  local position, letter, detail = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local old = move(roll, position, letter)
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
  for position in string.gmatch(ARGV[9], '%d+') do move(roll, position, 't') end
end

note(roll)
if settled > 0 then
  local bucket = PREFIX .. 'rate:' .. campaign .. ':' .. math.floor(now / 10)
  if redis.call('INCRBY', bucket, settled) == settled then redis.call('EXPIRE', bucket, 120) end
end
if ends ~= '' or retaken then redis.call('ZADD', PREFIX .. 'timers', ends ~= '' and ends or now + 5, ref) end
return verdict
