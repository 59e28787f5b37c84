-- Cancel a range of a cancelled campaign's batches; one under a living lease is left to its worker.
--
-- status:<c>, counts:<c>       'q' and 'd' become 'x'
-- batch:<ref>, payload:<ref>   removed, unless something was left transmitting: that is uncertain first
--
-- ARGV: campaign, first batch number, last batch number
-- Returns how many recipients were cancelled

local campaign, cancelled = ARGV[1], 0
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local ref = campaign .. ':' .. number
  local state = redis.call('HGET', PREFIX .. 'batch:' .. ref, 'state')
  if FOLLOWS[state] and state ~= 'leased' then
    cancelled = cancelled + cancel_rest(ref)
    if open_of(ref) == 0 then forget_batch(ref) end
  end
end
forget_shared_if_final(campaign)
return cancelled
