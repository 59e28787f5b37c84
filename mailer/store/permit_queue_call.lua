-- Call batches from the queue for permits: as many as there are permits for, and one campaign after the
-- other.
--
-- lines         set   -= scope, when nobody waits
-- line:<s>      zset  campaign += messages it was called for / its weight; -= campaigns without a batch
-- line:<s>:<c>  zset  -= those called, and those that wait no more
-- called:<s>    zset  ref → messages that it may take, until it is claimed
-- batch:<ref>   hash  state := queued     queued:<queue>  zset  += those     timers  zset  -= those
-- campaign:<c>  hash  read: weight
--
-- ARGV: scope, now, permits that are free, least number worth a call
-- Returns {queue, ref, queue, ref, …}

local scope, now, free, least = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local line, called = PREFIX .. 'line:' .. scope, PREFIX .. 'called:' .. scope
local publish = {}

-- Those that were called and have no worker yet will take their permits.
local raw = redis.call('ZRANGE', called, 0, -1, 'WITHSCORES')
for i = 1, #raw, 2 do
  if redis.call('HGET', PREFIX .. 'batch:' .. raw[i], 'state') == 'queued' then
    free = free - tonumber(raw[i + 1])
  else
    redis.call('ZREM', called, raw[i])
  end
end

while free >= least and #publish < 200 do
  local first = redis.call('ZRANGE', line, 0, 0)[1]
  if not first then
    redis.call('SREM', PREFIX .. 'lines', scope)
    break
  end
  local waiting = line .. ':' .. first
  local ref = redis.call('ZPOPMIN', waiting)[1]
  if not ref then
    redis.call('ZREM', line, first)
  else
    local batch = redis.call('HMGET', PREFIX .. 'batch:' .. ref, 'state', 'open')
    if batch[1] == 'waiting' then
      local share = math.min(free, tonumber(batch[2]))
      free = free - share
      local weight = tonumber(redis.call('HGET', PREFIX .. 'campaign:' .. first, 'weight') or '1')
      redis.call('ZINCRBY', line, share / weight, first)
      redis.call('ZADD', called, share, ref)
      redis.call('EXPIRE', called, 60)
      publish[#publish + 1] = set_queued(ref, now)
      publish[#publish + 1] = ref
    end
  end
end
return publish
