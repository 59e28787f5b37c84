-- What every script of the ledger shares: key names, positions, the one way to move a recipient's status
-- and the one way to move a batch. Keys and fields are listed in keys.py. Letters are those of
-- mailer/mail/status.py:
--   q queued   d deferred   t transmitting                      (open: somebody still has work to do)
--   a accepted r rejected   s suppressed   x cancelled   p dropped
--   u uncertain, held       z dead                              (final, or kept by a dead letter)

local PREFIX = 'mailer:'
-- A JSON table as it lies there; an empty one for what cannot be read: junk in one record ends no script.
local function decoded(text)
  local ok, found = pcall(cjson.decode, text)
  return ok and type(found) == 'table' and found or {}
end

-- What a script returns at once where one of its *commands* is not allowed to this user: Redis checks them
-- one by one, and a script that ends in its middle leaves what it has written. nil where all are allowed,
-- and before Redis 7.0, which cannot be asked.
local function refusal_of(commands)
  if not redis.acl_check_cmd then return end
  local key = PREFIX .. 'serving'
  for _, command in ipairs(commands) do
    -- Two keys, as RENAME has: asked about fewer than there must be, Redis ends itself.
    if not redis.acl_check_cmd(command, key, key) then
      return redis.error_reply('NOPERM ACL failure in script: this user may not call ' .. command)
    end
  end
end

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

-- The recipients of a campaign whose letters a script changes: read with `roll_of`, change with `move`,
-- and write once with `note`. Where *lowest* and *highest* lie near each other, the letters between them
-- are read and written as a whole: a worker's commit is about neighbours.
-- *told* is given where the caller tells by itself what happened (see `tell`); else, where somebody
-- listens, `note` tells who was moved.
local SPAN = 4000
local function roll_of(campaign, lowest, highest, told)
  local roll = {campaign = campaign, key = PREFIX .. 'status:' .. campaign, changes = {}}
  if not told and redis.call('EXISTS', PREFIX .. 'events:consumers') == 1 then roll.moved = {} end
  if lowest and highest - lowest < SPAN then
    roll.lowest = lowest
    roll.letters = {string.byte(redis.call('GETRANGE', roll.key, lowest, highest), 1, -1)}
  end
  return roll
end

-- Move one recipient to another letter; returns the old one. This is the only place that does. What is
-- final stays final, unless a dead letter is taken out ('exhumed'): else a late worker could open a
-- recipient again that somebody else has settled, and it would be mailed twice.
local function move(roll, position, letter, exhumed)
  local at = roll.letters and position - roll.lowest + 1
  local old = at and string.char(roll.letters[at]) or redis.call('GETRANGE', roll.key, position, position)
  if old ~= letter and (OPEN[old] or exhumed) then
    if at then
      roll.letters[at], roll.touched = string.byte(letter), true
    else
      redis.call('SETRANGE', roll.key, position, letter)
    end
    if roll.moved and (exhumed or not OPEN[letter]) then
      local list = roll.moved[letter] or {}
      list[#list + 1] = position
      roll.moved[letter] = list
    end
    roll.changes[old] = (roll.changes[old] or 0) - 1
    roll.changes[letter] = (roll.changes[letter] or 0) + 1
  end
  return old
end

-- The letter out of what a worker says: 'd', or 'd?' where the message may have arrived nevertheless, which
-- is remembered: whatever becomes of the recipient, no other campaign may take her for one who has it not.
local function letter_or_doubt(campaign, position, said)
  if #said > 1 then redis.call('SADD', PREFIX .. 'unsure:' .. campaign, position) end
  return string.sub(said, 1, 1)
end

-- Add to the stream of events what happened to *number* recipients: in the same script as it was noted,
-- so that neither is ever there without the other. Fields as in keys.py.
local function tell(number, ...)
  redis.call('XADD', PREFIX .. 'events', '*', 'n', number, ...)
  redis.call('INCRBY', PREFIX .. 'events:added', number)
end

-- Count on what leaves an outcome (a replayed dead letter), or leaves Redis with its campaign: figures over
-- all time never fall, else whoever draws them takes it for a restart. *counts* is by letter, or by kind
-- of what came back.
local function keep_counted(campaign, counts)
  local summary = redis.call('HGET', PREFIX .. 'campaign:' .. campaign, 'summary')
  local account = summary and decoded(summary).account
  for what, number in pairs(counts) do
    if tonumber(number) > 0 then redis.call('HINCRBY', PREFIX .. 'left', what .. ':' .. (account or ''), number) end
  end
end

-- Write down what was moved, and by how much the counts change.
local function note(roll)
  for letter, positions in pairs(roll.moved or {}) do
    tell(#positions, 'c', roll.campaign, 'l', letter, 'p', table.concat(positions, ','))
  end
  if roll.touched then
    redis.call('SETRANGE', roll.key, roll.lowest, string.char(unpack(roll.letters)))
  end
  for letter, change in pairs(roll.changes) do
    if change ~= 0 then
      redis.call('HINCRBY', PREFIX .. 'counts:' .. roll.campaign, letter, change)
    end
    if change < 0 and not OPEN[letter] then keep_counted(roll.campaign, {[letter] = -change}) end
  end
end

-- Count those that became final by the minute: what is shown of a campaign over time.
local KEPT_MINUTES = 30 * 86400
local function count_by_minute(roll, now)
  local minute = math.floor(now / 60)
  local key = PREFIX .. 'minutes:' .. roll.campaign .. ':' .. math.floor(minute / 1440)
  for letter, change in pairs(roll.changes) do
    if change > 0 and not OPEN[letter] then
      if redis.call('HINCRBY', key, (minute % 1440) .. letter, change) == change then
        redis.call('EXPIRE', key, KEPT_MINUTES)
      end
    end
  end
end

-- Dead letters by reason, account and campaign. What a worker of an older version buries is not counted;
-- whoever looks sees by '#' that it does not add up, and counts anew (dead_groups.lua).
local function count_dead(reason, account, campaign, messages, letters)
  local groups, group = PREFIX .. 'dead:groups', ':' .. cjson.encode({reason, account, campaign})
  if redis.call('HINCRBY', groups, '#', letters) == 0 then return redis.call('DEL', groups) end
  for name, change in pairs({l = letters, m = messages}) do
    if redis.call('HINCRBY', groups, name .. group, change) == 0 then redis.call('HDEL', groups, name .. group) end
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
  local roll, cancelled = roll_of(campaign), 0
  for i, position in ipairs(positions_of(fields[1])) do
    local letter = string.sub(letters, i, i)
    if letter == 'q' or letter == 'd' then
      move(roll, position, 'x')
      cancelled = cancelled + 1
    end
  end
  note(roll)
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

-- The states of a batch, and which may follow which; 'gone' is a batch that has no hash (not yet, or no
-- more). `mailer.store.batch_states` says what each means; a test compares the two tables.
local FOLLOWS = {
  gone = ' queued waiting ',
  queued = ' leased waiting parked gone ',
  waiting = ' queued leased waiting parked gone ',
  leased = ' leased queued waiting parked gone ',
  parked = ' queued leased waiting parked gone ',
}

-- Where the ref of a batch in that state stands: each batch is in exactly one index.
local function index_of(state, queue, event)
  if state == 'queued' then return PREFIX .. 'queued:' .. queue end
  if state == 'parked' then return PREFIX .. 'parked:' .. event end
  return PREFIX .. 'timers'
end

-- Bring a batch into another state. *at* is its score in that state's index: the time of its last task
-- message (queued), when its wait or its lease ends (waiting, leased), since when it waits (parked, for
-- *event*). No script moves a batch in another way: one in two indexes would be worked on twice, one in
-- none would be forgotten.
local function enter(ref, state, at, event)
  local key = PREFIX .. 'batch:' .. ref
  local before = redis.call('HMGET', key, 'state', 'queue', 'event')
  local from, queue = before[1] or 'gone', before[2]
  if not string.find(FOLLOWS[from] or '', ' ' .. state .. ' ', 1, true) then
    error('batch ' .. ref .. ' is ' .. from .. ' and cannot become ' .. state)
  end
  local index = state ~= 'gone' and index_of(state, queue, event)
  if from ~= 'gone' then
    local left = index_of(from, queue, before[3])
    if left ~= index then redis.call('ZREM', left, ref) end
  end
  if state == 'gone' then
    redis.call('DEL', key, PREFIX .. 'payload:' .. ref)
    return
  end
  redis.call('HSET', key, 'state', state)
  redis.call('ZADD', index, at, ref)
  if state == 'parked' then redis.call('HSET', key, 'event', event) end
  if state ~= 'parked' and before[3] then redis.call('HDEL', key, 'event') end
  if state == 'waiting' then redis.call('HSET', key, 'due', at) end
  if state ~= 'leased' then redis.call('HDEL', key, 'owner') end
end

-- Write down a new batch. *batch* holds positions, open (how many of them have no final status), queue,
-- account, deaths; made (when it was first written down; now, if that is not said); trace, if there is one;
-- without (positions that are somebody else's), if there are any; and its payload, or the key that it lies
-- under so far. It is queued, or waits until *due*.
local function create_batch(ref, batch, now, due)
  local key, payload = PREFIX .. 'batch:' .. ref, PREFIX .. 'payload:' .. ref
  if batch.payload then
    redis.call('SET', payload, batch.payload)
  else
    redis.call('RENAME', batch.payload_key, payload)
  end
  redis.call('HSET', key, 'positions', batch.positions, 'open', batch.open, 'queue', batch.queue,
             'account', batch.account, 'fence', 0, 'deaths', batch.deaths,
             'made', batch.made or (due and tonumber(due) > tonumber(now) and due) or now)
  if batch.trace and batch.trace ~= '' then redis.call('HSET', key, 'trace', batch.trace) end
  if batch.without then redis.call('HSET', key, 'without', batch.without) end
  if due and tonumber(due) > tonumber(now) then
    enter(ref, 'waiting', due)
    return 'waiting'
  end
  enter(ref, 'queued', now)
  return 'queued'
end

local function next_ref(campaign)
  return campaign .. ':' .. redis.call('HINCRBY', PREFIX .. 'campaign:' .. campaign, 'batches', 1)
end

local function forget_batch(ref)
  if redis.call('EXISTS', PREFIX .. 'batch:' .. ref) == 1 then enter(ref, 'gone') end
  forget_shared_if_final(campaign_of(ref))
end

-- The batch is queued: a task message for it has been or is about to be published. Returns its queue.
local function set_queued(ref, now)
  enter(ref, 'queued', now)
  redis.call('HDEL', PREFIX .. 'batch:' .. ref, 'lapsed')
  return redis.call('HGET', PREFIX .. 'batch:' .. ref, 'queue')
end

-- True while *fence* is the batch's newest lease: whoever holds an older one may change nothing. A lease
-- that lapsed (Redis was away, say) and was not taken by anybody since is its holder's again.
local retaken = false
local function holds(ref, fence, now)
  local key = PREFIX .. 'batch:' .. ref
  local lease = redis.call('HMGET', key, 'state', 'fence', 'lapsed')
  if lease[2] ~= fence then return false end
  if lease[1] == 'queued' and lease[3] == fence then
    retaken = true
    enter(ref, 'leased', now)  -- until a commit renews it
    redis.call('HINCRBY', key, 'deaths', -1)
    redis.call('HDEL', key, 'lapsed')
    return true
  end
  return lease[1] == 'leased'
end

