-- What taking permits and looking at them share: how a limit's window is read, and when it has room.
--
-- permits:<scope>:<seconds>  hash  one limit over one window, for account:<a> or domain:<d>:
--     <slot>       messages that reached their end in this slot (a hundredth of the window; for a
--                  window with a reset: the time of that reset)
--     f<token>     'taken at, how many' of a grant in flight; counts until it is settled, at most
--                  for *flight* seconds, and from then on as sent at that time
--     day, step    warm-up: the last day on which was sent, and the number of that day
-- pace:<a> hash, queued:bulk, queued:priority, line:account:<a> zset: read
--
-- Kinds of limits: 'rolling', 'reset', 'steps' (count: '100,500,…' for the 1st, 2nd … day), 'flying'
-- (count at once). Class 0 is the whole account; a message of class c > 0 wants a permit of 0 and of c.

local SLOTS = 100

-- The limits that ARGV lists from *first* on, six values each: class, key, kind, count, seconds, time of
-- the next reset. A rate that was measured for the account joins them.
local function limits_of(first, account, pace)
  local limits = {}
  for i = first, #ARGV, 6 do
    limits[#limits + 1] = {class = tonumber(ARGV[i]), key = ARGV[i + 1], kind = ARGV[i + 2],
                           count = ARGV[i + 3], seconds = tonumber(ARGV[i + 4]),
                           reset = tonumber(ARGV[i + 5])}
  end
  if pace.base then
    limits[#limits + 1] = {class = 0, key = PREFIX .. 'permits:account:' .. account .. ':1',
                           kind = 'rolling', count = pace.base, seconds = 1, reset = 0}
  end
  return limits
end

-- When what was sent in a slot stops counting.
local function forgotten_at(limit, slot)
  if limit.kind == 'rolling' then return (slot + 1) * limit.seconds / SLOTS + limit.seconds end
  return slot
end

local function slot_of(limit, time)
  if limit.kind == 'rolling' then return math.floor(time * SLOTS / limit.seconds) end
  return limit.reset
end

-- A grant in flight: counted while it may be; after *flight* seconds its worker is dead, and it counts
-- as sent.
local function read_flight(limit, field, value, now, flight)
  local taken, count = string.match(value, '^(%S+) (%d+)$')
  taken, count = tonumber(taken), tonumber(count)
  if taken + flight > now then return count, now + limit.seconds end
  limit.stale[#limit.stale + 1] = field
  local slot = slot_of(limit, taken + flight)
  if limit.kind == 'flying' or forgotten_at(limit, slot) <= now then return 0 end
  limit.landed[#limit.landed + 1] = {slot, count}
  return count, forgotten_at(limit, slot)
end

-- Read a limit's window: used, freed (when how many of those are free again), and what there is to tidy:
-- stale fields, and grants that landed in a slot. The grant *token* counts for nothing: it is asked for
-- again. Nothing is written here.
local function read(limit, now, flight, token)
  if limit.kind ~= 'rolling' and now >= limit.reset then limit.reset = limit.reset + limit.seconds end
  limit.used, limit.freed, limit.stale, limit.landed = 0, {}, {}, {}
  local raw = redis.call('HGETALL', limit.key)
  for i = 1, #raw, 2 do
    local field, value = raw[i], raw[i + 1]
    local count, at = 0, nil
    if field == 'day' or field == 'step' then
      limit[field] = tonumber(value)
    elseif token and field == 'f' .. token then
      limit.stale[#limit.stale + 1] = field
    elseif string.sub(field, 1, 1) == 'f' then
      count, at = read_flight(limit, field, value, now, flight)
    elseif forgotten_at(limit, tonumber(field)) > now then
      count, at = tonumber(value), forgotten_at(limit, tonumber(field))
    else
      limit.stale[#limit.stale + 1] = field
    end
    if at then
      limit.used = limit.used + count
      limit.freed[#limit.freed + 1] = {at, count}
    end
  end
end

-- How many messages the limit allows in its window now.
local function allowance(limit, share)
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

-- When *needed* permits or more (what is worth asking for, if that is less) are free, after *granted*
-- have been taken.
local function retry_at(limit, granted, needed, now)
  local left = limit.allowed - limit.used - granted
  if left > 0 and limit.kind ~= 'rolling' then return now end
  if limit.kind == 'flying' then return now + 0.1 end
  if limit.kind ~= 'rolling' then return limit.reset end
  needed = math.min(least_of(limit), needed) - left
  if needed <= 0 then return now end
  table.sort(limit.freed, function(a, b) return a[1] < b[1] end)
  for _, one in ipairs(limit.freed) do
    needed = needed - one[2]
    if needed <= 0 then return one[1] end
  end
  return now + limit.seconds
end

-- Read all *limits*; returns by class how many permits are free, at most *wanted*.
local function free_by_class(limits, wanted, share, now, flight, token)
  local free = {}
  for _, limit in ipairs(limits) do
    read(limit, now, flight, token)
    limit.allowed = allowance(limit, share)
    local left = math.min(limit.allowed - limit.used, most_of(limit))
    free[limit.class] = math.max(0, math.min(free[limit.class] or wanted, left))
  end
  free[0] = free[0] or wanted
  return free
end
