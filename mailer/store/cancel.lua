-- Cancel a range of a cancelled campaign's batches; one under a living lease is left to its worker.
--
-- status:<c>, counts:<c>       'q' and 'd' become 'x'
-- batch:<ref>, payload:<ref>   removed, unless something was left transmitting: that is uncertain first
--
-- ARGV: campaign, first batch number, last batch number
-- Returns how many recipients were cancelled

local campaign, cancelled = ARGV[1], 0
local changes = {}
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local ref = campaign .. ':' .. number
  local fields = redis.call('HMGET', PREFIX .. 'batch:' .. ref, 'state', 'positions')
  if fields[1] and fields[1] ~= 'leased' then
    local before = cancelled
    for _, position in ipairs(positions_of(fields[2])) do
      local letter = redis.call('GETRANGE', PREFIX .. 'status:' .. campaign, position, position)
      if letter == 'q' or letter == 'd' then
        move(campaign, position, 'x', changes)
        cancelled = cancelled + 1
      end
    end
    local open = redis.call('HINCRBY', PREFIX .. 'batch:' .. ref, 'open', before - cancelled)
    if open <= 0 then forget_batch(ref) end
  end
end
count(campaign, changes)
forget_shared_if_final(campaign)
return cancelled
