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
local from = redis.call('HMGET', key, 'account', 'queue')
local answer = {'split', from[2]}
for i = 5, #ARGV, 3 do
  local number = redis.call('HINCRBY', PREFIX .. 'campaign:' .. campaign, 'batches', 1)
  local part = campaign .. ':' .. number
  local open = 0
  for _, position in ipairs(positions_of(ARGV[i])) do
    if OPEN[redis.call('GETRANGE', PREFIX .. 'status:' .. campaign, position, position)] then
      open = open + 1
    end
  end
  local account = ARGV[i + 2]
  if account == '' then account = from[1] end
  redis.call('SET', PREFIX .. 'payload:' .. part, ARGV[i + 1])
  redis.call('HSET', PREFIX .. 'batch:' .. part, 'state', 'queued', 'positions', ARGV[i], 'open', open,
             'queue', from[2], 'account', account, 'fence', 0, 'deaths', ARGV[4])
  redis.call('ZADD', PREFIX .. 'queued:' .. from[2], now, part)
  answer[#answer + 1] = part
end
forget_batch(ref)
return answer
