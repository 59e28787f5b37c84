-- Write down one message that is sent by itself, to one mailbox or a few: a batch of its own.
--
-- sent:<key>      string  := digest, Message-ID and ref of the message that was queued under this key
-- campaign:<c>    hash    created, summary, policy, state; next position, number of batches
-- campaigns       zset    += campaign
-- status:<c>, order:<c>, counts:<c>, payload:<ref>, batch:<ref>, queued:<queue>    as enqueue.lua writes them
-- enqueued:<id>   string  := ref, for minutes: the call may be repeated, its reply lost
-- events          stream  += that they were queued
-- suppressed      hash    read, as barring.lua says
--
-- A campaign of this kind that was cancelled or forgotten stays so; what comes later goes into its
-- successor, "<c>.2" and so on.
--
-- forgotten       zset    read
--
-- ARGV: campaign, now, id of this call, summary (JSON), policy (JSON), queue, account, payload,
--       fingerprints (8 octets each), Message-ID, key ('': none), digest of the content, seconds that
--       the key is kept, entry of events ('': none is written), trace ('': none),
--       which kind of mail it is
-- Returns {'queued', ref} | {'again', Message-ID} | {'other', Message-ID}
--   | {'suppressed', index, …} (nothing written)

local base, now, id, queue = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local fingerprints, message_id, key, digest = ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local total = string.len(fingerprints) / 8

local written = PREFIX .. 'enqueued:' .. id
local before = redis.call('GET', written)
if before then return {'queued', before} end
local sent = PREFIX .. 'sent:' .. key
local known = key ~= '' and redis.call('GET', sent)
if known then
  local its_digest, its_id = string.match(known, '^(%S+) (%S+) ')
  return {its_digest == digest and 'again' or 'other', its_id}
end
local suppressed = {'suppressed'}
for i = 0, total - 1 do
  local one = string.sub(fingerprints, i * 8 + 1, i * 8 + 8)
  if barred(one, ARGV[16], now) then suppressed[#suppressed + 1] = i end
end
if #suppressed > 1 then return suppressed end

local function is_over(name)
  return redis.call('HGET', PREFIX .. 'campaign:' .. name, 'state') == 'cancelled'
         or redis.call('ZSCORE', PREFIX .. 'forgotten', name)
end

local campaign = base
if is_over(base) then
  local first = PREFIX .. 'campaign:' .. base
  local number = tonumber(redis.call('HGET', first, 'successor') or '2')
  while is_over(base .. '.' .. number) do number = number + 1 end
  if redis.call('EXISTS', first) == 1 then redis.call('HSET', first, 'successor', number) end
  campaign = base .. '.' .. number
end
local settings = PREFIX .. 'campaign:' .. campaign
if not redis.call('HGET', settings, 'created') then
  redis.call('HSET', settings, 'created', now, 'state', 'running', 'digest', '')
  redis.call('ZADD', PREFIX .. 'campaigns', now, campaign)
end
redis.call('HSET', settings, 'summary', ARGV[4], 'policy', ARGV[5], 'enqueued', '1', 'weight', 1)

local ref = next_ref(campaign)
local start = redis.call('HINCRBY', settings, 'next', total) - total
redis.call('SETRANGE', PREFIX .. 'status:' .. campaign, start, string.rep('q', total))
redis.call('SETRANGE', PREFIX .. 'order:' .. campaign, start * 8, fingerprints)
redis.call('HINCRBY', PREFIX .. 'counts:' .. campaign, 'q', total)
redis.call('SET', written, ref, 'EX', 300)
if key ~= '' then
  redis.call('SET', sent, digest .. ' ' .. message_id .. ' ' .. ref, 'EX', ARGV[13])
end
if ARGV[14] ~= '' then tell(total, 'e', ARGV[14], 'p', start, 'r', ref) end
create_batch(ref, {payload = ARGV[8], positions = start .. '+' .. total, open = total,
                   queue = queue, account = ARGV[7], deaths = 0, trace = ARGV[15]}, now)
return {'queued', ref}
