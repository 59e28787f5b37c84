-- Take permits for as many messages of a batch as every limit allows now, in their order.
--
-- permits:<scope>:<seconds>  hash  += f<token>; what is stale is tidied (permits.lua)
-- queued:bulk, queued:priority, line:account:<a> zset: read
--
-- ARGV: account, token, now ('': by Redis's clock), flight, class of each message (one octet each),
--       campaign ('': none), then the limits (permits.lua)
-- Returns names and values: {'now', …, 'retry_at', …, 'why' (number of the limit, 0 none, -1 pause), …,
--         'share', …, 'crowded' (batches that want a worker), …, 'measured' (1: a measured rate holds:
--         settle it too), …, 'granted' (in all), …, 'by_class' ('5,0,7' of class 1, 2, …), …}
-- A repeated call with the same token undoes the first.

local account, token, now, flight = ARGV[1], ARGV[2], clock(ARGV[3]), tonumber(ARGV[4])
local classes, campaign = ARGV[5], ARGV[6]
local wanted = string.len(classes)
local pace = pace_of(account)
local share = share_at(pace, now)
local limits = limits_of(7, account, pace)
local free = free_by_class(limits, wanted, share, now, flight, token)
if pace.pause > now then free[0] = 0 end

-- Deal the permits out in the order of the messages.
local granted, refused, total, short = {}, {}, 0, false
local class_count = 0
for class in pairs(free) do class_count = math.max(class_count, class) end
for class = 1, class_count do granted[class] = 0 end
for i = 1, wanted do
  local class = string.byte(classes, i)
  if free[0] - total <= 0 then
    short = true
    break
  elseif class == 0 then
    total = total + 1
  elseif (free[class] or wanted) > granted[class] then
    total, granted[class] = total + 1, granted[class] + 1
  else
    refused[class] = true
  end
end

-- Why the rest waits, and until when: all of an account's limits must agree, of domains the soonest.
local function latest_of(class)
  local latest, which = now, 0
  for number, limit in ipairs(limits) do
    if limit.class == class then
      local at = retry_at(limit, class > 0 and granted[class] or total, math.max(1, wanted - total), now)
      if at > latest then latest, which = at, number end
    end
  end
  return latest, which
end
local soonest, why = math.huge, 0
if pace.pause > now then
  soonest, why = pace.pause, -1
elseif short then
  soonest, why = latest_of(0)
  if share < 1 then soonest = math.min(soonest, now + pace.scale) end
else
  for class in pairs(refused) do
    local at, which = latest_of(class)
    if at < soonest then soonest, why = at, which end
  end
end
if soonest == math.huge then soonest = now end

-- Write it down.
for _, limit in ipairs(limits) do
  if #limit.stale > 0 then redis.call('HDEL', limit.key, unpack(limit.stale)) end
  for _, one in ipairs(limit.landed) do redis.call('HINCRBY', limit.key, one[1], one[2]) end
  local count = limit.class > 0 and granted[limit.class] or total
  if count > 0 and limit.allowed < math.huge then
    redis.call('HSET', limit.key, 'f' .. token, string.format('%.6f %d', now, count))
    if limit.kind == 'steps' and limit.day ~= limit.reset then
      redis.call('HSET', limit.key, 'day', string.format('%.0f', limit.reset), 'step',
                 (limit.step or 0) + 1)
    end
    if limit.kind ~= 'steps' then
      redis.call('EXPIRE', limit.key, math.ceil(2 * limit.seconds + flight) + 60)
    end
  end
end

-- Other campaigns that wait for this account are rivals: one batch after another may not hold it.
local line = PREFIX .. 'line:account:' .. account
local crowded = redis.call('ZCARD', PREFIX .. 'queued:bulk') +
                redis.call('ZCARD', PREFIX .. 'queued:priority') + redis.call('ZCARD', line)
if campaign ~= '' and redis.call('ZSCORE', line, campaign) then crowded = crowded - 1 end
return {'now', string.format('%.6f', now), 'retry_at', string.format('%.6f', soonest), 'why', why,
        'share', string.format('%.6f', share), 'crowded', crowded, 'measured', pace.base and 1 or 0,
        'granted', total, 'by_class', table.concat(granted, ',')}
