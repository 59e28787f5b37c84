-- Choose the batches to publish: those of the campaigns whose turn it is, until enough task messages wait
-- on the broker.
--
-- turns:<queue>      zset  campaign += messages of its batches / its weight; -= those without a batch
-- turns:<queue>:<c>  zset  -= those published, and those that are not queued any more
-- queued:<queue>     zset  ref → now
-- campaign:<c>, batch:<ref>  hash  read: weight; open
--
-- ARGV: queue, now, how many task messages may wait on the broker
-- Returns {queue, ref, queue, ref, …}

local queue, now, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local queued, turns = PREFIX .. 'queued:' .. queue, PREFIX .. 'turns:' .. queue
if redis.call('EXISTS', turns) == 0 then return {} end
local room = window - redis.call('ZCOUNT', queued, '-inf', now + 3600)
local publish = {}
while room > 0 do
  local campaign = redis.call('ZRANGE', turns, 0, 0)[1]
  if not campaign then break end
  local ref = redis.call('ZPOPMIN', turns .. ':' .. campaign)[1]
  if not ref then
    redis.call('ZREM', turns, campaign)
  elseif redis.call('ZSCORE', queued, ref) then
    local open = tonumber(redis.call('HGET', PREFIX .. 'batch:' .. ref, 'open') or '1')
    local weight = tonumber(redis.call('HGET', PREFIX .. 'campaign:' .. campaign, 'weight') or '1')
    redis.call('ZINCRBY', turns, open / weight, campaign)
    redis.call('ZADD', queued, now, ref)
    publish[#publish + 1] = queue
    publish[#publish + 1] = ref
    room = room - 1
  end
end
return publish
