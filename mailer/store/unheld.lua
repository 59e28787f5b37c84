-- Settle recipients of a cancelled campaign whom no batch holds: nobody knows whether they got it.
--
-- status:<c>, counts:<c>   their open letters become 'x'
-- unsure:<c>          set  += who is moved
--
-- ARGV: campaign, positions
-- Returns how many were moved. None can get into a batch again: batches are made of rows, of other batches
-- and of dead letters, whose recipients are not open.

local campaign, settled = ARGV[1], 0
if redis.call('HGET', PREFIX .. 'campaign:' .. campaign, 'state') ~= 'cancelled' then return 0 end
local roll = roll_of(campaign)
for _, position in ipairs(positions_of(ARGV[2])) do
  if OPEN[move(roll, position, 'x')] then
    redis.call('SADD', PREFIX .. 'unsure:' .. campaign, position)
    settled = settled + 1
  end
end
note(roll)
forget_shared_if_final(campaign)
return settled
