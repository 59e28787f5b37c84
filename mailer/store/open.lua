-- Begin a run of enqueueing: create the campaign, or find it unchanged.
--
-- campaign:<c>  hash  created, digest, summary, policy, state, start, buckets; runs += 1; enqueued := 0
-- campaigns     zset  += campaign
-- forgotten     zset  -= campaign, where that is accepted; forgetting  set  read
--
-- ARGV: campaign, now, digest, summary (JSON), policy (JSON), '1' to accept a changed digest,
--       weight, start (0: at once), '1' to only look: nothing is written
-- Returns {'open', run, batches so far} | {'changed', summary as it was} | {'cancelled'}
--   | {'forgotten', when}: who has got it is not known any more

local campaign, now = ARGV[1], ARGV[2]
local key = PREFIX .. 'campaign:' .. campaign
local before = redis.call('HMGET', key, 'digest', 'summary', 'state', 'buckets')
-- An older version would look for the recipients where they are not, and queue them again: it finds another
-- digest, and refuses.
local digest = ARGV[3]
if not before[1] or before[4] then digest = '2 ' .. digest end
local forgotten = redis.call('ZSCORE', PREFIX .. 'forgotten', campaign)
if forgotten and (ARGV[6] ~= '1' or redis.call('SISMEMBER', PREFIX .. 'forgetting', campaign) == 1) then
  return {'forgotten', forgotten}
end
if before[3] == 'cancelled' then return {'cancelled'} end
if before[1] and before[1] ~= digest and ARGV[6] ~= '1' then return {'changed', before[2]} end
if ARGV[9] == '1' then return {'open', 0, 0} end
if not before[1] then
  redis.call('ZREM', PREFIX .. 'forgotten', campaign)
  redis.call('HSET', key, 'created', now, 'state', 'running', 'start', ARGV[8], 'buckets', 1)
  redis.call('ZADD', PREFIX .. 'campaigns', now, campaign)
end
redis.call('HSET', key, 'digest', digest, 'summary', ARGV[4], 'policy', ARGV[5], 'enqueued', '0',
           'weight', ARGV[7])
local run = (redis.call('HINCRBY', key, 'runs', 1) - 1) % 65535 + 1
return {'open', run, tonumber(redis.call('HGET', key, 'batches') or '0')}
