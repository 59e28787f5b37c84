-- The campaign's start was moved: some of its batches follow. What a worker holds, and what waits for a
-- later try, is left: claim.lua sends it on to the start, where that is later.
--
-- timers, queued:<queue>  zsets  the batch changes its place     batch:<ref>  hash  state, due
--
-- ARGV: campaign, now, start, start before, first batch number, last batch number
-- Returns {queue, ref, …}: task messages to publish

local campaign, now, start = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local before, publish = tonumber(ARGV[4]), {}
for number = tonumber(ARGV[5]), tonumber(ARGV[6]) do
  local ref = campaign .. ':' .. number
  local batch = redis.call('HMGET', PREFIX .. 'batch:' .. ref, 'state', 'fence', 'due')
  local unbegun = batch[2] == '0' or tonumber(batch[3] or '-1') == before
  if batch[1] == 'waiting' and unbegun and start <= now then
    publish[#publish + 1] = set_queued(ref, now)
    publish[#publish + 1] = ref
  elseif start > now and (batch[1] == 'queued' or batch[1] == 'waiting' and unbegun) then
    enter(ref, 'waiting', ARGV[3])
  end
end
return publish
