-- Remove some batches of a campaign that is forgotten: all of their recipients are final.
--
-- batch:<ref>, payload:<ref>, enqueued:<ref>, and the batch's place in timers, queued or parked   removed
--
-- ARGV: campaign, first batch number, last batch number

for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local ref = ARGV[1] .. ':' .. number
  if redis.call('EXISTS', PREFIX .. 'batch:' .. ref) == 1 then enter(ref, 'gone') end
  redis.call('DEL', PREFIX .. 'enqueued:' .. ref)
end
