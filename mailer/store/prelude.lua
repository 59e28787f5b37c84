-- What every script of the ledger shares: key names, positions, and the one way to move a status.
-- Keys are listed in keys.py. Letters are those of mailer/outcome.py:
--   q queued   d deferred   t transmitting                      (open: somebody still has work to do)
--   a accepted r rejected   s suppressed   x cancelled   p dropped
--   u uncertain, held       z dead                              (final, or kept by a dead letter)

local PREFIX = 'mailer:'
local OPEN = {q = true, d = true, t = true}

local function campaign_of(ref)
  return string.match(ref, '^(.*):[^:]*$')
end

-- Positions are written '12+200' (a run from 12) or '12,15,40' (each by itself).
local function positions_of(text)
  local found = {}
  local start, count = string.match(text, '^(%d+)%+(%d+)$')
  if start then
    for i = 0, tonumber(count) - 1 do found[i + 1] = tonumber(start) + i end
    return found
  end
  for position in string.gmatch(text, '%d+') do found[#found + 1] = tonumber(position) end
  return found
end

-- Move one recipient to another letter and note by how much the counts change; returns the old one.
-- What is final stays, unless a dead letter is taken out ('exhumed').
local function move(campaign, position, letter, changes, exhumed)
  local key = PREFIX .. 'status:' .. campaign
  local old = redis.call('GETRANGE', key, position, position)
  if old ~= letter and (OPEN[old] or exhumed) then
    redis.call('SETRANGE', key, position, letter)
    changes[old] = (changes[old] or 0) - 1
    changes[letter] = (changes[letter] or 0) + 1
  end
  return old
end

local function count(campaign, changes)
  for letter, change in pairs(changes) do
    if change ~= 0 then
      redis.call('HINCRBY', PREFIX .. 'counts:' .. campaign, letter, change)
    end
  end
end

-- Letters of a batch's or dead letter's recipients, one character each, in the order of its positions.
-- A payload may hold messages that are somebody else's by now ('without': they lie in a dead letter, or
-- went on as a batch of their own): open ones show as dead, for whoever holds this is not to touch them.
local function letters_of(campaign, text, without)
  local start, length = string.match(text, '^(%d+)%+(%d+)$')
  local key = PREFIX .. 'status:' .. campaign
  if start and not without then
    return redis.call('GETRANGE', key, start, tonumber(start) + tonumber(length) - 1)
  end
  local foreign = {}
  for _, position in ipairs(positions_of(without or '')) do foreign[position] = true end
  local letters = {}
  for i, position in ipairs(positions_of(text)) do
    local letter = redis.call('GETRANGE', key, position, position)
    letters[i] = foreign[position] and OPEN[letter] and 'z' or letter
  end
  return table.concat(letters)
end

-- How many of a batch's recipients somebody still has to try.
local function open_of(ref)
  local fields = redis.call('HMGET', PREFIX .. 'batch:' .. ref, 'positions', 'without')
  local letters = letters_of(campaign_of(ref), fields[1], fields[2])
  local _, number = string.gsub(letters, '[qdt]', '')
  return number
end

-- Cancel all of a batch that nobody has begun; returns how many.
local function cancel_rest(ref)
  local key, campaign = PREFIX .. 'batch:' .. ref, campaign_of(ref)
  local fields = redis.call('HMGET', key, 'positions', 'without')
  local letters = letters_of(campaign, fields[1], fields[2])
  local changes, cancelled = {}, 0
  for i, position in ipairs(positions_of(fields[1])) do
    local letter = string.sub(letters, i, i)
    if letter == 'q' or letter == 'd' then
      move(campaign, position, 'x', changes)
      cancelled = cancelled + 1
    end
  end
  count(campaign, changes)
  return cancelled
end

-- Attachments go when nobody will need them again: all is enqueued and no recipient is open or dead.
local function forget_shared_if_final(campaign)
  local counts = PREFIX .. 'counts:' .. campaign
  for _, letter in ipairs({'q', 'd', 't', 'u', 'z'}) do
    if tonumber(redis.call('HGET', counts, letter) or '0') > 0 then return end
  end
  if redis.call('HGET', PREFIX .. 'campaign:' .. campaign, 'enqueued') == '1' then
    redis.call('DEL', PREFIX .. 'shared:' .. campaign)
  end
end

local function forget_batch(ref)
  local queue = redis.call('HGET', PREFIX .. 'batch:' .. ref, 'queue')
  local event = redis.call('HGET', PREFIX .. 'batch:' .. ref, 'event')
  if queue then redis.call('ZREM', PREFIX .. 'queued:' .. queue, ref) end
  if event then redis.call('ZREM', PREFIX .. 'parked:' .. event, ref) end
  redis.call('ZREM', PREFIX .. 'timers', ref)
  redis.call('DEL', PREFIX .. 'batch:' .. ref, PREFIX .. 'payload:' .. ref)
  forget_shared_if_final(campaign_of(ref))
end

-- The batch is queued: a task message for it has been or is about to be published.
local function set_queued(ref, now)
  local key = PREFIX .. 'batch:' .. ref
  local queue = redis.call('HGET', key, 'queue')
  local event = redis.call('HGET', key, 'event')
  if event then redis.call('ZREM', PREFIX .. 'parked:' .. event, ref) end
  redis.call('HSET', key, 'state', 'queued')
  redis.call('HDEL', key, 'owner', 'event', 'lapsed')
  redis.call('ZREM', PREFIX .. 'timers', ref)
  redis.call('ZADD', PREFIX .. 'queued:' .. queue, now, ref)
  return queue
end

-- True while *fence* is the batch's newest lease: whoever holds an older one may change nothing. A lease
-- that lapsed (Redis was away, say) and was not taken by anybody since is its holder's again.
local retaken = false
local function holds(ref, fence, now)
  local key = PREFIX .. 'batch:' .. ref
  local lease = redis.call('HMGET', key, 'state', 'fence', 'queue', 'lapsed')
  if lease[2] ~= fence then return false end
  if lease[1] == 'queued' and lease[4] == fence then
    retaken = true
    redis.call('ZREM', PREFIX .. 'queued:' .. lease[3], ref)
    redis.call('ZADD', PREFIX .. 'timers', now, ref)  -- until a commit renews it
    redis.call('HSET', key, 'state', 'leased')
    redis.call('HINCRBY', key, 'deaths', -1)
    redis.call('HDEL', key, 'lapsed')
    return true
  end
  return lease[1] == 'leased'
end

