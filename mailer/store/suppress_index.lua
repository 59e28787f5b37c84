-- Make the index of the suppression list by reason and source, some mailboxes at a time, where it lacks or
-- versions before it have written meanwhile. Whoever changes the list meanwhile keeps it as barring.lua says.
--
-- suppressed, suppressed:scoped, suppressed:why, suppressed:changes   read
-- suppressed:reasons  hash    v: of which version it is; #, @: mailboxes and changes that are indexed;
--                             next: number of the newest set; at: when it was begun; cursor: while it is made
-- suppressed:of:<n>   zset    removed, and made anew
--
-- ARGV: now, about how many mailboxes, seconds after which it may be made anew
-- Returns 1 where there is more to do, else 0

local state = redis.call('HMGET', REASONS, 'v', '#', '@', 'at', 'cursor')
if state[1] and state[1] ~= INDEX_VERSION then return 0 end -- of a later version, which looks after it
local cursor = state[5]
if not cursor then
  local number, changes = redis.call('HLEN', LISTED), redis.call('GET', PREFIX .. 'suppressed:changes') or '0'
  local is_right = number == tonumber(state[2] or -1) and changes == state[3]
  if is_right or tonumber(ARGV[1]) < tonumber(state[4] or 0) + tonumber(ARGV[3]) then return 0 end
  local flat = redis.call('HGETALL', REASONS)
  for i = 1, #flat, 2 do
    if string.find(flat[i], '\0', 1, true) then redis.call('DEL', set_of(flat[i + 1])) end
  end
  redis.call('DEL', REASONS, set_of('0'))
  cursor = '0'
  redis.call('HSET', REASONS, 'v', INDEX_VERSION, '#', number, '@', changes, 'next', 0, 'at', ARGV[1])
end
local page = redis.call('HSCAN', LISTED, cursor, 'COUNT', ARGV[2])
for i = 1, #page[2], 2 do
  local fingerprint, known = page[2][i], decoded(page[2][i + 1])
  if not known[4] then
    index(fingerprint, 'all', known[2], source_for_all(fingerprint), known[3])
  end
  for scope, one in pairs(scopes_of(fingerprint)) do
    index(fingerprint, scope, one[1], one[4], one[2])
  end
end
if page[1] == '0' then
  redis.call('HDEL', REASONS, 'cursor')
  return 0
end
redis.call('HSET', REASONS, 'cursor', page[1])
return 1
