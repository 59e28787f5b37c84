-- Cut a leased batch up, each part with its own payload: how one poisonous message is found, and how
-- what an account cannot send goes to others.
--
-- batch:<ref>, payload:<ref>   removed; one or more new ones take its place, queued
-- campaign:<c>                 hash  batches += parts
--
-- ARGV: ref, fence, now, deaths that the parts start with, then for each part: positions, payload,
--       account ('': as before)
-- Returns {'split', queue, ref, ref} | {'lost'}

local ref, fence, now = ARGV[1], ARGV[2], ARGV[3]
local campaign = campaign_of(ref)
local key = PREFIX .. 'batch:' .. ref
if not holds(ref, fence, now) then return {'lost'} end
local from = redis.call('HMGET', key, 'account', 'queue', 'made', 'trace')
local answer = {'split', from[2]}
for i = 5, #ARGV, 3 do
  local part, open = next_ref(campaign), 0
  for _, position in ipairs(positions_of(ARGV[i])) do
    if OPEN[redis.call('GETRANGE', PREFIX .. 'status:' .. campaign, position, position)] then
      open = open + 1
    end
  end
  local account = ARGV[i + 2]
  if account == '' then account = from[1] end
  create_batch(part, {payload = ARGV[i + 1], positions = ARGV[i], open = open, queue = from[2],
                      account = account, deaths = ARGV[4], made = from[3], trace = from[4]}, now)
  answer[#answer + 1] = part
end
forget_batch(ref)
return answer
