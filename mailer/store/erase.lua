-- Take one person out of a campaign: what was remembered, and the message that waits for her.
--
-- detail:<c>   hash    -= position        order:<c>  string  her fingerprint := 8 octets 255
--                                         erased:<c> hash    position → it, so that she can be skipped
-- back:<c>     hash    -= what came back of her
-- status:<c>, counts:<c>   'q' and 'd' become 'x'
-- payload:<ref>            := as given, without her message; batch:<ref> goes where nobody is left to try
--
-- ARGV: campaign, position, fingerprint, ref of the batch that holds her message ('': none), its fence when
--       it was read, payload without her message, kinds of what may have come back …
-- Returns {how many things were removed, 'x' where she was to get the message yet}
--   | {'busy'} (a worker has the batch) | {'again'} (the batch was changed): nothing was done

local campaign, position, fingerprint, ref = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local removed, cancelled = 0, ''
if ref ~= '' then
  local batch = redis.call('HMGET', PREFIX .. 'batch:' .. ref, 'state', 'fence')
  if batch[1] == 'leased' then return {'busy'} end
  if not batch[1] or batch[2] ~= ARGV[5] then return {'again'} end
  local roll = roll_of(campaign)
  local old = redis.call('GETRANGE', roll.key, position, position)
  if old == 't' then return {'busy'} end
  if OPEN[old] then
    move(roll, position, 'x')
    note(roll)
    cancelled = 'x'
  end
  redis.call('SET', PREFIX .. 'payload:' .. ref, ARGV[6])
  removed = 1
  if open_of(ref) == 0 then forget_batch(ref) end
end
removed = removed + redis.call('HDEL', PREFIX .. 'detail:' .. campaign, position)
for i = 7, #ARGV do
  removed = removed + redis.call('HDEL', PREFIX .. 'back:' .. campaign, ARGV[i] .. fingerprint)
end
local order = PREFIX .. 'order:' .. campaign
if redis.call('GETRANGE', order, position * 8, position * 8 + 7) == fingerprint then
  redis.call('SETRANGE', order, position * 8, string.rep('\255', 8))
  redis.call('HSET', PREFIX .. 'erased:' .. campaign, position, fingerprint)
  removed = removed + 1
end
return {removed, cancelled}
