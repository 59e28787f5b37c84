-- Record outcomes, mark who is about to be transmitted, renew the lease, and say whether to go on.
--
-- status:<c>    string  'a' for accepted, 't' for starting, the letter of each other
-- counts:<c>    hash    by the same changes
-- detail:<c>    hash    += those that were not accepted, -= those accepted after a deferral
-- unsure:<c>    set     += those whose letter says so
-- batch:<ref>   hash    began := when those starting began
-- timers        zset    ref → end of the lease, where it is to be renewed
-- rate:<c>:<s>  string  += recipients that became final in these ten seconds, for a minute
-- minutes:<c>:<d>  hash += the same, by minute and letter
-- account:<a>   hash    read: state
-- campaign:<c>  hash    read: state, start; paused, braked := now, why, where the first HOPELESS are all rejected
-- resumed       set     -= such a campaign
-- events        stream  += what happened, as the worker packed it
-- queued:priority  zset  read: single messages that wait for a process
-- batch:<ref>   hash    of such a message, read: account
--
-- ARGV: ref, fence, now, end of the lease ('': not to be renewed), account, accepted ('3,5,9'), accepted
--       that had a detail, starting, lowest and highest of all positions, how many recipients the entry of
--       events tells of ('': this worker writes none), the entry, when those starting began ('': as was
--       said before), seconds that a single message must have waited to be told of ('': not asked) and
--       after which its task message is lost, then position, letter ('d?': not accepted, and may have the message), detail, …
-- Returns 'go' | 'paused' | 'cancelled' | 'stopped' (the account)
--   | 'lost' (the lease is another's; nothing was written). Unless 'go', starting was not marked.
--   Behind it ' single', where such a message waits.

local HOPELESS = 100
local ref, fence, now, ends, account = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local campaign = campaign_of(ref)
if not holds(ref, fence, now) then return 'lost' end

local roll, settled, rejected = roll_of(campaign, tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11] ~= ''), 0, 0
for position in string.gmatch(ARGV[6], '%d+') do
  if OPEN[move(roll, position, 'a')] then settled = settled + 1 end
end
for position in string.gmatch(ARGV[7], '%d+') do
  redis.call('HDEL', PREFIX .. 'detail:' .. campaign, position)
end
for i = 16, #ARGV, 3 do
  local position, detail = ARGV[i], ARGV[i + 2]
  local letter = letter_or_doubt(campaign, position, ARGV[i + 1])
  local old = move(roll, position, letter)
  if OPEN[old] and not OPEN[letter] then settled = settled + 1 end
  if letter == 'r' then rejected = rejected + 1 end
  if OPEN[old] and detail ~= '' then redis.call('HSET', PREFIX .. 'detail:' .. campaign, position, detail) end
end

-- If the first hundred recipients are rejected and none is accepted, there is one reason for all: a login
-- that is missing, a sender that is not allowed. So the campaign is paused, and somebody looks before the
-- rest is rejected, too. This happens once: who resumes the campaign has looked. Single messages are no
-- campaign of one list, and go on.
local function is_hopeless()
  local counts = redis.call('HMGET', PREFIX .. 'counts:' .. campaign, 'a', 'r')
  local refused = tonumber(counts[2] or '0') + rejected  -- the roll is not yet noted
  if tonumber(counts[1] or '0') > 0 or ARGV[6] ~= '' or refused < HOPELESS then return false end
  return redis.call('HGET', PREFIX .. 'batch:' .. ref, 'queue') == 'bulk'
         and not redis.call('HGET', PREFIX .. 'campaign:' .. campaign, 'braked')
end
if rejected > 0 and is_hopeless() then
  redis.call('HSET', PREFIX .. 'campaign:' .. campaign, 'state', 'paused', 'braked', now, 'why',
             'the first ' .. HOPELESS .. ' recipients were all refused for good, and nobody was accepted')
  redis.call('SREM', PREFIX .. 'resumed', campaign)
end

local verdict = 'go'
local about = redis.call('HMGET', PREFIX .. 'campaign:' .. campaign, 'state', 'start')
local state = about[1]
-- The campaign's start was moved while a worker sends: it stops, and the batch gets its new time when it
-- is claimed.
if state == 'running' and tonumber(about[2] or '0') > tonumber(now) then state = 'paused' end
if state == 'paused' or state == 'cancelled' then
  verdict = state
elseif redis.call('HGET', PREFIX .. 'account:' .. account, 'state') == 'stopped' then
  verdict = 'stopped'
end
if verdict == 'go' then
  if ARGV[13] ~= '' then redis.call('HSET', PREFIX .. 'batch:' .. ref, 'began', ARGV[13]) end
  for position in string.gmatch(ARGV[8], '%d+') do move(roll, position, 't') end
end

note(roll)
if (tonumber(ARGV[11]) or 0) > 0 then tell(ARGV[11], 'e', ARGV[12]) end
if settled > 0 then
  count_by_minute(roll, now)
  local bucket = PREFIX .. 'rate:' .. campaign .. ':' .. math.floor(now / 10)
  if redis.call('INCRBY', bucket, settled) == settled then redis.call('EXPIRE', bucket, 120) end
end
if ends ~= '' or retaken then redis.call('ZADD', PREFIX .. 'timers', ends ~= '' and ends or now + 5, ref) end
if ARGV[14] ~= '' then
  local function lives(single) return redis.call('HEXISTS', PREFIX .. 'batch:' .. single, 'account') == 1 end
  if waits('priority', now - tonumber(ARGV[15]), now - tonumber(ARGV[14]), lives) then return verdict .. ' single' end
end
return verdict
