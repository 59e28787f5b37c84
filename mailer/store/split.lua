-- Cut a leased batch in two, each with its own payload: how one poisonous message is found.
--
-- batch:<ref>, payload:<ref>   removed; two new ones take its place, queued
-- campaign:<c>                 hash  batches += 2
--
-- ARGV: ref, fence, now, deaths that the parts start with, then for each part: positions, payload
-- Returns {'split', queue, ref, ref} | {'lost'}

local ref, fence, now = ARGV[1], ARGV[2], ARGV[3]
local campaign = campaign_of(ref)
local key = PREFIX .. 'batch:' .. ref
if not holds(ref, fence) then return {'lost'} end
local from = redis.call('HMGET', key, 'account', 'queue')
local answer = {'split', from[2]}
for i = 5, #ARGV, 2 do
  local number = redis.call('HINCRBY', PREFIX .. 'campaign:' .. campaign, 'batches', 1)
  local part = campaign .. ':' .. number
  local open = 0
  for _, position in ipairs(positions_of(ARGV[i])) do
    if OPEN[redis.call('GETRANGE', PREFIX .. 'status:' .. campaign, position, position)] then
      open = open + 1
    end
  end
  redis.call('SET', PREFIX .. 'payload:' .. part, ARGV[i + 1])
  redis.call('HSET', PREFIX .. 'batch:' .. part, 'state', 'queued', 'positions', ARGV[i], 'open', open,
             'queue', from[2], 'account', from[1], 'fence', 0, 'deaths', ARGV[4])
  redis.call('ZADD', PREFIX .. 'queued:' .. from[2], now, part)
  answer[#answer + 1] = part
end
forget_batch(ref)
return answer
