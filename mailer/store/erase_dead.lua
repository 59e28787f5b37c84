-- Take one person out of a dead letter that holds others, too.
--
-- status:<c>, counts:<c>   'z' and 'u' become 'p'     unsure:<c>  += position, where it was 'u'
-- dead:<id>, deadload:<id>   as given, without her message
--
-- ARGV: id, position, payload without her message, what the server said (msgpack), without her mailbox
-- Returns 1, or 0 where the dead letter is gone

local letter = PREFIX .. 'dead:' .. ARGV[1]
local campaign = redis.call('HGET', letter, 'campaign')
if not campaign then return 0 end
local roll = roll_of(campaign)
local old = redis.call('GETRANGE', roll.key, ARGV[2], ARGV[2])
if old == 'z' or old == 'u' then
  if old == 'u' then redis.call('SADD', PREFIX .. 'unsure:' .. campaign, ARGV[2]) end
  move(roll, ARGV[2], 'p', true)
  note(roll)
  redis.call('HINCRBY', letter, 'messages', -1)
end
redis.call('SET', PREFIX .. 'deadload:' .. ARGV[1], ARGV[3])
redis.call('HSET', letter, 'said', ARGV[4])
return 1
