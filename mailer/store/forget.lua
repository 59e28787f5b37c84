-- Begin to forget a campaign: from now on its name is taken, and nothing of it is worked on or shown.
--
-- campaigns     zset  -= campaign       forgotten  zset  += campaign → now
-- forgetting    set   += campaign: its other keys are removed by and by
-- campaign:<c>  hash  state := cancelled, for whoever does not know of `forgotten`; -= created, next: who
--                     reads it takes the campaign for gone, also while half of its keys are there
-- counts:<c>, backs:<c>   hash  read, and added to   left  hash
--
-- ARGV: campaign, now, before (seconds since the epoch: younger ones are left)
-- Returns {'begun'} | {'gone'} | {'open', n} | {'dead', n} | {'young'} | {'enqueueing'} (nothing was done)

local campaign, now = ARGV[1], tonumber(ARGV[2])
local key = PREFIX .. 'campaign:' .. campaign
local about = redis.call('HMGET', key, 'created', 'state', 'enqueued', 'active')
if redis.call('SISMEMBER', PREFIX .. 'forgetting', campaign) == 1 then return {'begun'} end
if not about[1] then return {'gone'} end
local function counted(...)
  local total = 0
  for _, number in ipairs(redis.call('HMGET', PREFIX .. 'counts:' .. campaign, ...)) do
    total = total + (tonumber(number or '0') or 0)
  end
  return total
end
local open, dead = counted('q', 'd', 't'), counted('z', 'u')
if open > 0 then return {'open', open} end
if dead > 0 then return {'dead', dead} end
local ended = tonumber(about[4] or about[1])
if ended > tonumber(ARGV[3]) then return {'young'} end
if about[3] ~= '1' and about[2] ~= 'cancelled' and now - ended < 600 then return {'enqueueing'} end
for _, counts in ipairs({'counts:', 'backs:'}) do
  local flat, kept = redis.call('HGETALL', PREFIX .. counts .. campaign), {}
  for i = 1, #flat, 2 do kept[flat[i]] = flat[i + 1] end
  keep_counted(campaign, kept)
end
redis.call('HSET', key, 'state', 'cancelled')
redis.call('HDEL', key, 'created', 'next')
redis.call('SADD', PREFIX .. 'forgetting', campaign)
redis.call('ZADD', PREFIX .. 'forgotten', now, campaign)
redis.call('ZREM', PREFIX .. 'campaigns', campaign)
redis.call('SREM', PREFIX .. 'resumed', campaign)
return {'begun'}
