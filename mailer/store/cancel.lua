-- Cancel a range of a cancelled campaign's batches; one under a living lease is left to its worker.
--
-- status:<c>, counts:<c>       'q' and 'd' become 'x'
-- batch:<ref>, payload:<ref>   removed, unless something was left transmitting: that is uncertain first
--
-- ARGV: campaign, first batch number, last batch number, after how many recipients it ends
-- Returns how many recipients were cancelled, and the number of the batch that is next. Run again with the
-- same arguments it goes on where it ended: whoever repeats it wants them all cancelled.

local campaign, cancelled, number = ARGV[1], 0, tonumber(ARGV[2])
while number <= tonumber(ARGV[3]) and cancelled < tonumber(ARGV[4]) do
  local ref = campaign .. ':' .. number
  local state = redis.call('HGET', PREFIX .. 'batch:' .. ref, 'state')
  if FOLLOWS[state] and state ~= 'leased' then
    cancelled = cancelled + cancel_rest(ref)
    if open_of(ref) == 0 then forget_batch(ref) end
  end
  number = number + 1
end
forget_shared_if_final(campaign)
return {cancelled, number}
