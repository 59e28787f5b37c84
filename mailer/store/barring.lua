-- What scripts about the suppression list share: which entry stops which mail, and how entries come and go.
-- Scopes are 'all', 'bulk' or a List-ID, and so is mail (`mailer.mail.barring.scopes`).
--
-- suppressed          hash    fingerprint → [mailbox, reason, since]: for all mail, as version 0.1.0 reads it;
--                             with a fourth element only for what suppressed:scoped says
-- suppressed:why      hash    fingerprint → source, evidence (JSON), of entries for all
-- suppressed:until    zset    fingerprint → when it is over, of entries for all
-- suppressed:scoped   hash    fingerprint → scope → [reason, since, until (0: for good), source, evidence]
-- suppressed:ends     zset    fingerprint and scope → when it is over
-- suppressed:changes  string  += 1 whenever somebody is put on the list
-- suppressed:reasons  hash    reason, a zero octet and source → number of the set of such entries; and how the
--                             index stands, as suppress_index.lua says
-- suppressed:of:<n>   zset    fingerprint and scope ('' for all mail) → since, of such entries; 0: of all others

local LISTED = PREFIX .. 'suppressed'

-- The index by reason and source. Versions before it write the list alone: what is indexed is counted ('#',
-- '@'), so that a difference shows, and the index is made anew (suppress_index.lua).
local REASONS = PREFIX .. 'suppressed:reasons'
local INDEX_VERSION = '1'
-- Reasons are free text: a file may have one for each row. Beyond so many, and longer ones, all share a set.
local MOST_PAIRS, LONGEST_PAIR = 500, 300

local function is_indexed()
  return redis.call('HGET', REASONS, 'v') == INDEX_VERSION
end

-- Begin the index with the list; that of a list which is there already is made by the sweep.
local function begin_index()
  if redis.call('EXISTS', LISTED, REASONS) == 0 then
    local changes = redis.call('GET', PREFIX .. 'suppressed:changes') or '0'
    redis.call('HSET', REASONS, 'v', INDEX_VERSION, '#', 0, '@', changes, 'next', 0)
  end
end

local function set_of(number)
  return PREFIX .. 'suppressed:of:' .. number
end

local function indexed_as(fingerprint, scope)
  return fingerprint .. (scope == 'all' and '' or scope)
end

local function pair_of(reason, source)
  return (type(reason) == 'string' and reason or '') .. '\0' .. (type(source) == 'string' and source or '')
end

local function index(fingerprint, scope, reason, source, since)
  local pair = pair_of(reason, source)
  local number = redis.call('HGET', REASONS, pair)
  if not number then
    number = '0'
    if #pair <= LONGEST_PAIR and redis.call('HLEN', REASONS) < MOST_PAIRS then
      number = tostring(redis.call('HINCRBY', REASONS, 'next', 1))
      redis.call('HSET', REASONS, pair, number)
    end
  end
  redis.call('ZADD', set_of(number), tonumber(since) or 0, indexed_as(fingerprint, scope))
end

local function unindex(fingerprint, scope, reason, source)
  local pair, member = pair_of(reason, source), indexed_as(fingerprint, scope)
  local number = redis.call('HGET', REASONS, pair)
  if not number or redis.call('ZREM', set_of(number), member) == 0 then
    redis.call('ZREM', set_of('0'), member)
  elseif redis.call('EXISTS', set_of(number)) == 0 then
    redis.call('HDEL', REASONS, pair)
  end
end

local function source_for_all(fingerprint)
  return decoded(redis.call('HGET', PREFIX .. 'suppressed:why', fingerprint) or '{}').source or ''
end

local function scopes_of(fingerprint)
  return decoded(redis.call('HGET', PREFIX .. 'suppressed:scoped', fingerprint) or '{}')
end

local function applies(scope, mail)
  return scope == 'all' or scope == mail or (scope == 'bulk' and mail ~= 'all')
end

-- Whether a mailbox is to get no *mail* of that kind.
local function barred(fingerprint, mail, now)
  local entry = redis.call('HGET', LISTED, fingerprint)
  if not entry then return false end
  if not decoded(entry)[4] then return true end
  for scope, one in pairs(scopes_of(fingerprint)) do
    if applies(scope, mail) and (one[3] == 0 or one[3] > tonumber(now)) then return true end
  end
  return false
end

-- Put a mailbox on the list for all mail. An entry with an end is replaced by one that ends at least a
-- day later.
local DAY = 86400
local function bar_all(fingerprint, known, one)
  if known and not known[4] then
    local ends = tonumber(redis.call('ZSCORE', PREFIX .. 'suppressed:until', fingerprint) or '0')
    if ends == 0 or (one.ends > 0 and one.ends <= ends + DAY) then return false end
    if is_indexed() then unindex(fingerprint, 'all', known[2], source_for_all(fingerprint)) end
  end
  redis.call('HSET', LISTED, fingerprint, cjson.encode({one.mailbox, one.reason, one.since}))
  redis.call('HSET', PREFIX .. 'suppressed:why', fingerprint, one.why)
  redis.call('ZREM', PREFIX .. 'suppressed:until', fingerprint)
  if one.ends > 0 then redis.call('ZADD', PREFIX .. 'suppressed:until', one.ends, fingerprint) end
  return true
end

local function bar_scoped(fingerprint, known, one)
  local scopes = scopes_of(fingerprint)
  local before = scopes[one.scope]
  if before and (before[3] == 0 or (one.ends > 0 and one.ends <= before[3] + DAY)) then return false end
  if before and is_indexed() then unindex(fingerprint, one.scope, before[1], before[4]) end
  local why = decoded(one.why)
  scopes[one.scope] = {one.reason, one.since, one.ends, why.source or '', why.evidence or ''}
  redis.call('HSET', PREFIX .. 'suppressed:scoped', fingerprint, cjson.encode(scopes))
  if not known then
    -- Version 0.1.0 reads it as an entry for all mail: it sends too little rather than too much.
    redis.call('HSET', LISTED, fingerprint, cjson.encode({one.mailbox, one.reason, one.since, 'scoped'}))
  end
  redis.call('ZREM', PREFIX .. 'suppressed:ends', fingerprint .. one.scope)
  if one.ends > 0 then redis.call('ZADD', PREFIX .. 'suppressed:ends', one.ends, fingerprint .. one.scope) end
  return true
end

-- Put a mailbox on the list; false where it is there already, for as long. *one* has mailbox, reason,
-- since, ends (0: for good), scope, and why: source and evidence (JSON).
local function bar(fingerprint, one)
  begin_index()
  local known = redis.call('HGET', LISTED, fingerprint)
  known = known and decoded(known)
  local add = one.scope == 'all' and bar_all or bar_scoped
  if not add(fingerprint, known, one) then return false end
  redis.call('INCR', PREFIX .. 'suppressed:changes')
  if is_indexed() then
    index(fingerprint, one.scope, one.reason, decoded(one.why).source or '', one.since)
    redis.call('HINCRBY', REASONS, '@', 1)
    if not known then redis.call('HINCRBY', REASONS, '#', 1) end
  end
  return true
end

-- Take a mailbox off the list for *scope* ('': for every one) where it is there for *reason* ('': for
-- whichever); returns of how many scopes.
local function unbar(fingerprint, scope, reason)
  local entry = redis.call('HGET', LISTED, fingerprint)
  if not entry then return 0 end
  local known, scopes, taken = decoded(entry), scopes_of(fingerprint), 0
  local for_all, has_index = not known[4], is_indexed()
  if for_all and (scope == '' or scope == 'all') and (reason == '' or reason == known[2]) then
    if has_index then unindex(fingerprint, 'all', known[2], source_for_all(fingerprint)) end
    redis.call('HDEL', PREFIX .. 'suppressed:why', fingerprint)
    redis.call('ZREM', PREFIX .. 'suppressed:until', fingerprint)
    for_all, taken = false, 1
  end
  for name, one in pairs(scopes) do
    if (scope == '' or scope == name) and (reason == '' or reason == one[1]) then
      redis.call('ZREM', PREFIX .. 'suppressed:ends', fingerprint .. name)
      if has_index then unindex(fingerprint, name, one[1], one[4]) end
      scopes[name], taken = nil, taken + 1
    end
  end
  local _, left = next(scopes)
  if left then
    redis.call('HSET', PREFIX .. 'suppressed:scoped', fingerprint, cjson.encode(scopes))
  else
    redis.call('HDEL', PREFIX .. 'suppressed:scoped', fingerprint)
  end
  if left and not for_all then
    redis.call('HSET', LISTED, fingerprint, cjson.encode({known[1], left[1], left[2], 'scoped'}))
  elseif not for_all then
    redis.call('HDEL', LISTED, fingerprint)
    if has_index then redis.call('HINCRBY', REASONS, '#', -1) end
  end
  return taken
end

