-- A new batch: may its task message go to the broker now, or must it wait for its campaign's turn?
--
-- queued:<queue>      zset  read: batches whose task message is on the broker; ref → far future, while
--                           it has none
-- turns:<queue>       zset  += campaign → messages it was published for, divided by its weight
-- turns:<queue>:<c>   zset  += ref → number of the batch
--
-- ARGV: queue, ref, now, how many task messages may wait on the broker
-- Returns 1: publish it | 0: a sweep will

local queue, ref, now, window = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local queued, turns = PREFIX .. 'queued:' .. queue, PREFIX .. 'turns:' .. queue
if redis.call('EXISTS', turns) == 0 and redis.call('ZCOUNT', queued, '-inf', now + 3600) <= window then
  return 1
end
if not redis.call('ZSCORE', queued, ref) then return 1 end
local campaign = campaign_of(ref)
local first = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
redis.call('ZADD', turns, 'NX', first[2] or 0, campaign)
redis.call('ZADD', turns .. ':' .. campaign, string.match(ref, ':(%d+)$'), ref)
redis.call('ZADD', queued, 'XX', now + 1e9, ref)
return 0
