-- A consumer has read the stream to its end: was it told of all that was ever added? Entries that left the
-- stream in another way than by events_ack.lua (XTRIM, DEL, an eviction) are missed by it.
--
-- events            stream  read
-- events:added      string  read
-- events:consumers  hash    consumer := '0-1' where the stream began anew behind its cursor
-- events:read       hash    consumer := all that was added
-- events:missed     hash    consumer → {recipients, since, until} (JSON), summed up until somebody has looked
--
-- ARGV: consumer, now
-- Returns how many recipients were told of in entries that it missed; 0 also where more came meanwhile

local stream, consumer = PREFIX .. 'events', ARGV[1]
local cursor = redis.call('HGET', PREFIX .. 'events:consumers', consumer)
local ms, count = string.match(cursor or '', '^(%d+)-(%d+)$')
if not ms or #redis.call('XRANGE', stream, '(' .. cursor, '+', 'COUNT', 1) > 0 then return 0 end

-- A stream that was removed forgets its last id. Under a clock that is behind, new entries lie before the
-- cursor, where nobody would read them.
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
if last and last[1] ~= cursor then
  redis.call('HSET', PREFIX .. 'events:consumers', consumer, '0-1')
  return 0
end

local added = tonumber(redis.call('GET', PREFIX .. 'events:added') or '0')
local read = tonumber(redis.call('HGET', PREFIX .. 'events:read', consumer) or '0')
if added == read then return 0 end
redis.call('HSET', PREFIX .. 'events:read', consumer, added)
if added < read then return 0 end  -- it was told of some twice, or the count itself was removed

local missed = decoded(redis.call('HGET', PREFIX .. 'events:missed', consumer) or '')
local since = tonumber(ms) / 1000
redis.call('HSET', PREFIX .. 'events:missed', consumer, cjson.encode({
  recipients = (tonumber(missed.recipients) or 0) + added - read,
  since = tonumber(missed.since) or since,
  ['until'] = tonumber(ARGV[2]),
}))
return added - read
