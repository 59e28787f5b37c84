-- Find batches on which somebody must act, and say which task messages to publish.
--
-- timers          zset  due waits and lapsed leases leave it
-- batch:<ref>     hash  state := queued; deaths += 1 where a lease lapsed
-- queued:<queue>  zset  += those; and of those that have waited for a worker longer than their task
--                       message can (more are queued than the broker holds), the oldest, again
--
-- ARGV: now, at most how many, seconds after which a task message counts as overdue,
--       then queue, task messages on the broker, …
-- Returns {queue, ref, queue, ref, …}

local now, limit, overdue = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local publish = {}
for _, ref in ipairs(redis.call('ZRANGEBYSCORE', PREFIX .. 'timers', '-inf', now, 'LIMIT', 0, limit)) do
  local key = PREFIX .. 'batch:' .. ref
  local state = redis.call('HGET', key, 'state')
  if state == 'leased' or state == 'waiting' then
    publish[#publish + 1] = set_queued(ref, now)
    if state == 'leased' then
      redis.call('HINCRBY', key, 'deaths', 1)
      redis.call('HSET', key, 'lapsed', redis.call('HGET', key, 'fence'))
    end
    publish[#publish + 1] = ref
  else
    redis.call('ZREM', PREFIX .. 'timers', ref)
  end
end
for i = 4, #ARGV, 2 do
  local queue, on_broker = ARGV[i], tonumber(ARGV[i + 1])
  local key = PREFIX .. 'queued:' .. queue
  local missing = redis.call('ZCOUNT', key, '-inf', now + 3600) - on_broker  -- not those without a turn
  if missing > 0 then
    local oldest = redis.call('ZRANGEBYSCORE', key, '-inf', now - overdue, 'LIMIT', 0,
                              math.min(missing, limit))
    for _, ref in ipairs(oldest) do
      if redis.call('HGET', PREFIX .. 'batch:' .. ref, 'state') == 'queued' then
        redis.call('ZADD', key, now, ref)
        publish[#publish + 1] = queue
        publish[#publish + 1] = ref
      else
        redis.call('ZREM', key, ref)
      end
    end
  end
end
return publish
