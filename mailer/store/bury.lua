-- Move recipients of a leased batch into a dead letter, with their payload.
--
-- dead, dead:<id>, deadload:<id>   the dead letter      dead:unpublished  set  += id
-- status:<c>, counts:<c>           letter 'z', or 'u' for uncertain ones
-- detail:<c>                       as given
-- unsure:<c>                       += those who are moved, where the letter says so
-- events                           += what happened
-- batch:<ref>, payload:<ref>       without += those; both go when nothing is open
--
-- ARGV: ref, fence, now, id, letter ('z?': they may have the message), reason, what the server said
--       (msgpack), payload ('': the whole batch's, renamed), positions in the payload's order,
--       how many recipients the entry of events tells of ('': none is written), the entry, letters of those who are moved (others of the positions stay
--       the batch's own), then position, detail, …
-- Returns {'buried', how many} | {'lost'}

local ref, fence, now, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local campaign = campaign_of(ref)
local key = PREFIX .. 'batch:' .. ref

-- The reply to a first call may be lost; the second says what the first has said.
local made = redis.call('HMGET', PREFIX .. 'dead:' .. id, 'batch', 'messages')
if made[1] == ref then return {'buried', tonumber(made[2])} end
if not holds(ref, fence, now) then return {'lost'} end

local roll, buried, others = roll_of(campaign, nil, nil, ARGV[10] ~= ''), {}, {}
local letters = letters_of(campaign, ARGV[9], redis.call('HGET', key, 'without'))
for i, position in ipairs(positions_of(ARGV[9])) do
  if string.find(ARGV[12], string.sub(letters, i, i), 1, true) then
    move(roll, position, letter_or_doubt(campaign, position, ARGV[5]))
    buried[#buried + 1] = position
  else
    others[#others + 1] = position
  end
end
if #buried == 0 then return {'buried', 0} end
for i = 13, #ARGV, 2 do
  redis.call('HSET', PREFIX .. 'detail:' .. campaign, ARGV[i], ARGV[i + 1])
end
note(roll)
if ARGV[10] ~= '' then tell(ARGV[10], 'e', ARGV[11]) end
if ARGV[8] == '' then
  redis.call('RENAME', PREFIX .. 'payload:' .. ref, PREFIX .. 'deadload:' .. id)
else
  redis.call('SET', PREFIX .. 'deadload:' .. id, ARGV[8])
end
local from = redis.call('HMGET', key, 'account', 'queue')
redis.call('HSET', PREFIX .. 'dead:' .. id, 'campaign', campaign, 'batch', ref, 'account', from[1],
           'queue', from[2], 'reason', ARGV[6], 'said', ARGV[7], 'positions', ARGV[9],
           'messages', #buried, 'at', now, 'without', table.concat(others, ','))
redis.call('ZADD', PREFIX .. 'dead', now, id)
count_dead(ARGV[6], from[1], campaign, #buried, 1)
count_by_minute(roll, now)
redis.call('SADD', PREFIX .. 'dead:unpublished', id)
redis.call('HSET', PREFIX .. 'campaign:' .. campaign, 'active', now)
local without = redis.call('HGET', key, 'without')
local list = table.concat(buried, ',')
redis.call('HSET', key, 'without', without and (without .. ',' .. list) or list)
if open_of(ref) == 0 then forget_batch(ref) end
return {'buried', #buried}
