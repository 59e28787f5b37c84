-- Write down a new batch: fingerprints, payload, statuses, all or nothing.
--
-- seen:<c>:<bucket>         += each recipient's fingerprint, digest, run (seen.lua)
-- campaign:<c>       hash   next position, number of batches; read: state, start, which is the batch's due then
-- status:<c>         string += 'q' for each recipient
-- counts:<c>         hash   q += n
-- order:<c>          string += each recipient's fingerprint, by position
-- events             stream += that they were queued
-- payload:<ref>      string := payload
-- batch:<ref>        hash   := state queued (or waiting)
-- queued:<queue>     zset   += ref        timers  zset  += ref, when it starts later
-- enqueued:<ref>     string := 1, for minutes: the call may be repeated when the batch is final already
--
-- With run 0 (single messages) no fingerprint is looked at or kept.
--
-- ARGV: ref, run, now, due (where the campaign has no start; 0: at once), queue, account, payload,
--       fingerprints (8 octets each), digests (4 octets each, big-endian), entry of events ('': none is written), trace ('': none)
-- Returns {'queued'} | {'waiting'} | {'taken', index, …} (nothing written) | {'cancelled'}
--   | {'gone'} (the ledger was emptied since the campaign was opened)

local ref, run, now, due, queue = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local campaign = campaign_of(ref)
local fingerprints, digests = ARGV[8], ARGV[9]
local total = string.len(digests) / 4

if redis.call('EXISTS', PREFIX .. 'enqueued:' .. ref) == 1 then return {'queued'} end
local about = redis.call('HMGET', PREFIX .. 'campaign:' .. campaign, 'state', 'start')
local state = about[1]
if state == 'cancelled' then return {'cancelled'} end
if not state and run ~= '0' then
  -- The ledger was emptied meanwhile. What is written from now on would be half a campaign, and nobody
  -- would see that.
  redis.call('DEL', PREFIX .. 'campaign:' .. campaign, PREFIX .. 'shared:' .. campaign)
  return {'gone'}
end

local taken, seen, here = {'taken'}, seen_by(campaign, tonumber(run)), {}
for i = 0, (run == '0') and -1 or total - 1 do
  local fingerprint = string.sub(fingerprints, i * 8 + 1, i * 8 + 8)
  if here[fingerprint] or find_seen(seen, fingerprint) then taken[#taken + 1] = i end
  here[fingerprint] = true
end
if #taken > 1 then return taken end

for i = 0, (run == '0') and -1 or total - 1 do
  local fingerprint = string.sub(fingerprints, i * 8 + 1, i * 8 + 8)
  add_seen(seen, fingerprint, string.sub(digests, i * 4 + 1, i * 4 + 4))
end
local next_position = redis.call('HINCRBY', PREFIX .. 'campaign:' .. campaign, 'next', total)
local start = next_position - total
if run ~= '0' then write_seen(seen, next_position) end
redis.call('SETRANGE', PREFIX .. 'status:' .. campaign, start, string.rep('q', total))
redis.call('HINCRBY', PREFIX .. 'counts:' .. campaign, 'q', total)
redis.call('SETRANGE', PREFIX .. 'order:' .. campaign, start * 8, fingerprints)
redis.call('SET', PREFIX .. 'enqueued:' .. ref, '1', 'EX', 300)
if ARGV[10] ~= '' then tell(total, 'e', ARGV[10], 'p', start) end
local batch = {payload = ARGV[7], positions = start .. '+' .. total, open = total, queue = queue,
               account = ARGV[6], deaths = 0, trace = ARGV[11]}
if tonumber(about[2] or '0') > 0 then due = about[2] end
return {create_batch(ref, batch, now, due)}
