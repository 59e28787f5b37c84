-- Take a dead letter out: as a new batch (replay) or for good (drop).
--
-- dead, dead:<id>, deadload:<id>, dead:unpublished   removed
-- status:<c>, counts:<c>    'z' and 'u' become 'q' (replay) or 'p' (drop); what was settled meanwhile stays
-- unsure:<c>                += those that were 'u': whatever becomes of them, they may have the message
-- detail:<c>                -= those replayed: they begin anew
-- batch:<ref>, payload:<ref>, queued:<queue>         the new batch
--
-- ARGV: id, now, 'replay' | 'drop', account ('': as before), payload ('': as it lies there)
-- Returns {'gone'} | {'cancelled'} (the campaign is: nothing was replayed) | {'dropped', how many}
--   | {'replayed', queue, ref, how many, account}

local id, now, how = ARGV[1], ARGV[2], ARGV[3]
local fields = redis.call('HMGET', PREFIX .. 'dead:' .. id, 'campaign', 'positions', 'account', 'queue',
                          'without', 'reason', 'messages')
local campaign, positions, account, queue = fields[1], fields[2], fields[3], fields[4]
if not campaign then return {'gone'} end
if how == 'replay' and redis.call('HGET', PREFIX .. 'campaign:' .. campaign, 'state') == 'cancelled' then
  return {'cancelled'}
end
count_dead(fields[6], account, campaign, -(tonumber(fields[7]) or 0), -1)
if ARGV[4] ~= '' then account = ARGV[4] end

local letter = (how == 'replay') and 'q' or 'p'
local foreign = {}
for _, position in ipairs(positions_of(fields[5] or '')) do foreign[position] = true end
local roll, moved, others = roll_of(campaign), 0, {}
for _, position in ipairs(positions_of(positions)) do
  local old = redis.call('GETRANGE', PREFIX .. 'status:' .. campaign, position, position)
  if not foreign[position] and (old == 'z' or old == 'u') then
    if old == 'u' then redis.call('SADD', PREFIX .. 'unsure:' .. campaign, position) end
    move(roll, position, letter, true)
    moved = moved + 1
    if how == 'replay' then redis.call('HDEL', PREFIX .. 'detail:' .. campaign, position) end
  else
    others[#others + 1] = position
  end
end
note(roll)
redis.call('ZREM', PREFIX .. 'dead', id)
redis.call('SREM', PREFIX .. 'dead:unpublished', id)
redis.call('DEL', PREFIX .. 'dead:' .. id)
if how ~= 'replay' or moved == 0 then
  redis.call('DEL', PREFIX .. 'deadload:' .. id)
  forget_shared_if_final(campaign)
  return {'dropped', moved}
end
local ref, deadload = next_ref(campaign), PREFIX .. 'deadload:' .. id
local batch = {positions = positions, open = moved, queue = queue, account = account, deaths = 0,
               payload_key = deadload}
if ARGV[5] ~= '' then batch.payload = ARGV[5] end
if #others > 0 then batch.without = table.concat(others, ',') end
create_batch(ref, batch, now)
redis.call('DEL', deadload)
return {'replayed', queue, ref, moved, account}
