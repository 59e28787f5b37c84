-- Take permits for as many messages of a batch as every limit allows now, in their order.
--
-- permits:<scope>:<seconds>  hash  one limit over one window, for account:<a> or domain:<d>:
--     <slot>       messages that reached their end in this slot (a hundredth of the window; for a
--                  window with a reset: the time of that reset)
--     f<token>     'taken at, how many' of a grant in flight; counts until it is settled, at most
--                  for *flight* seconds, and from then on as sent at that time
--     day, step    warm-up: the last day on which was sent, and the how manieth that is
-- pace:<a> hash, queued:bulk, queued:priority, line:account:<a> zset: read
--
-- ARGV: account, token, now ('': by Redis's clock), flight, class of each message (one octet each),
--       campaign ('': none), then for each limit: class, key, kind, count, seconds, time of the next reset
-- Class 0 is the whole account; a message of class c > 0 wants a permit of 0 and one of c. Kinds:
-- 'rolling', 'reset', 'steps' (count: '100,500,…' for the 1st, 2nd … day), 'flying' (count at once).
-- Returns {now, retry at, why (number of the limit, 0 none, -1 pause), share, crowded, paced (a
--          measured rate holds: settle it too), granted in all, granted of class 1, 2, …}; without a
-- message {…, used, allowed of the first limit, free of all, least number worth asking for, when that
-- is free}. A repeated call with the same token undoes the first.

local account, token, now, flight = ARGV[1], ARGV[2], clock(ARGV[3]), tonumber(ARGV[4])
local classes = ARGV[5]
local wanted, slots = string.len(classes), 100
local looks = wanted == 0  -- who only looks changes nothing
local pace = pace_of(account)
local share = share_at(pace, now)
local limits, class_count = {}, 0

local function add(class, key, kind, count, seconds, reset)
  limits[#limits + 1] = {class = class, key = key, kind = kind, count = count, seconds = seconds,
                         reset = reset}
  class_count = math.max(class_count, class)
end
for i = 7, #ARGV, 6 do
  add(tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 4]),
      tonumber(ARGV[i + 5]))
end
if pace.base then add(0, PREFIX .. 'permits:account:' .. account .. ':1', 'rolling', pace.base, 1, 0) end

-- When what was sent in a slot stops counting.
local function forgotten_at(limit, slot)
  if limit.kind == 'rolling' then return (slot + 1) * limit.seconds / slots + limit.seconds end
  return slot
end

local function slot_of(limit, time)
  if limit.kind == 'rolling' then return math.floor(time * slots / limit.seconds) end
  return limit.reset
end

local function read(limit)
  local used, freed, raw = 0, {}, redis.call('HGETALL', limit.key)
  for i = 1, #raw, 2 do
    local field, value = raw[i], raw[i + 1]
    if string.sub(field, 1, 1) == 'f' then
      local taken, count = string.match(value, '^(%S+) (%d+)$')
      taken, count = tonumber(taken), tonumber(count)
      if field == 'f' .. token then
        redis.call('HDEL', limit.key, field)
      elseif taken + flight > now then
        used = used + count
        freed[#freed + 1] = {now + limit.seconds, count}
      else
        if not looks then redis.call('HDEL', limit.key, field) end
        local slot = slot_of(limit, taken + flight)
        if limit.kind ~= 'flying' and forgotten_at(limit, slot) > now then
          if not looks then redis.call('HINCRBY', limit.key, slot, count) end
          used = used + count
          freed[#freed + 1] = {forgotten_at(limit, slot), count}
        end
      end
    elseif field == 'day' or field == 'step' then
      limit[field] = tonumber(value)
    else
      local at = forgotten_at(limit, tonumber(field))
      if at > now then
        used = used + tonumber(value)
        freed[#freed + 1] = {at, tonumber(value)}
      elseif not looks then
        redis.call('HDEL', limit.key, field)
      end
    end
  end
  limit.used, limit.freed = used, freed
end

local function allowance(limit)
  if limit.kind == 'steps' then
    local step, found = (limit.step or 0) + (limit.day == limit.reset and 0 or 1), 0
    for count in string.gmatch(limit.count, '%d+') do
      found = found + 1
      if found == step then return tonumber(count) end
    end
    return math.huge
  end
  local count = tonumber(limit.count)
  if limit.kind == 'rolling' and limit.class == 0 and limit.seconds <= 3600 then
    return math.max(1, math.floor(count * share))
  end
  return count
end

local granted, total = {}, 0

-- How many permits are worth asking for: a twentieth of a short window's, half a second's of a long one.
local function least_of(limit)
  if limit.kind ~= 'rolling' then return 1 end
  local least = limit.seconds <= 10 and limit.allowed / 20 or limit.allowed / limit.seconds / 2
  return math.max(1, math.ceil(least))
end

-- The last message of a grant waits for the first: small grants end soon and are counted sharply.
local function most_of(limit)
  if limit.kind == 'rolling' and limit.seconds <= 10 then return math.ceil(limit.allowed / 4) end
  return math.max(1, limit.allowed)
end

-- When that many are free.
local function retry_at(limit)
  local count = limit.class > 0 and granted[limit.class] or total
  local left = limit.allowed - limit.used - count
  if left > 0 and limit.kind ~= 'rolling' then return now end
  if limit.kind == 'flying' then return now + 0.1 end
  if limit.kind ~= 'rolling' then return limit.reset end
  local rest = wanted == 0 and math.huge or math.max(1, wanted - total)
  local needed = math.min(least_of(limit), rest) - left
  if needed <= 0 then return now end
  table.sort(limit.freed, function(a, b) return a[1] < b[1] end)
  for _, one in ipairs(limit.freed) do
    needed = needed - one[2]
    if needed <= 0 then return one[1] end
  end
  return now + limit.seconds
end

local free = {[0] = wanted > 0 and wanted or math.huge}
for class = 1, class_count do free[class] = wanted end
for _, limit in ipairs(limits) do
  if limit.kind ~= 'rolling' and now >= limit.reset then limit.reset = limit.reset + limit.seconds end
  read(limit)
  limit.allowed = allowance(limit)
  local left = math.min(limit.allowed - limit.used, most_of(limit))
  free[limit.class] = math.max(0, math.min(free[limit.class], left))
end
if pace.pause > now then free[0] = 0 end

local refused, short = {}, false
for class = 1, class_count do granted[class] = 0 end
for i = 1, wanted do
  local class = string.byte(classes, i)
  if free[0] - total <= 0 then
    short = true
    break
  elseif class == 0 then
    total = total + 1
  elseif free[class] > granted[class] then
    total, granted[class] = total + 1, granted[class] + 1
  else
    refused[class] = true
  end
end

-- Why the rest waits, and until when: all of an account's limits must agree, of domains the soonest.
local soonest, why = math.huge, 0
local function latest_of(class)
  local latest, which = now, 0
  for number, limit in ipairs(limits) do
    if limit.class == class then
      local at = retry_at(limit)
      if at > latest then latest, which = at, number end
    end
  end
  return latest, which
end
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

for _, limit in ipairs(limits) do
  local count = total
  if limit.class > 0 then count = granted[limit.class] end
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
local crowded = redis.call('ZCARD', PREFIX .. 'queued:bulk') +
                redis.call('ZCARD', PREFIX .. 'queued:priority')
-- Other campaigns in line for this account are rivals: it is not to be held by one batch after another.
local line = PREFIX .. 'line:account:' .. account
crowded = crowded + redis.call('ZCARD', line)
if ARGV[6] ~= '' and redis.call('ZSCORE', line, ARGV[6]) then crowded = crowded - 1 end
local answer = {string.format('%.6f', now), string.format('%.6f', soonest), why,
                string.format('%.6f', share), crowded, pace.base and 1 or 0, total}
for class = 1, class_count do answer[7 + class] = granted[class] end
if wanted == 0 then
  local least, at = 1, latest_of(0)
  for _, limit in ipairs(limits) do least = math.max(least, least_of(limit)) end
  for _, limit in ipairs(limits) do least = math.min(least, most_of(limit)) end
  if pace.pause > now then at = pace.pause end
  local first = limits[1] or {used = 0, allowed = math.huge}
  answer[8], answer[9], answer[10] = first.used, tostring(first.allowed), tostring(free[0])
  answer[11], answer[12] = least, string.format('%.6f', at)
end
return answer
