-- A reply asks for less: halve the account's rate or its connections, once for each cause.
--
-- pace:<a>   hash  see pace.lua; goes when the rate has recovered
-- meter:<a>  hash  r<tenth of a window> += 1; read: messages a second, where no rate is configured
-- permits:account:<a>:<n>  hash  read: what was sent in the last window
-- held:<a>   hash  read: connections that are open
--
-- ARGV: account, now ('': by Redis's clock), when the message got its permit ('': unknown),
--       'rate' | 'connections', seconds that the reply asks to wait, what it said,
--       configured count and seconds of the shortest window (0, 0: none)
-- Returns {what, share, until}: 'lowered' | 'known' (the cause was dealt with) | 'paused'

local account, now = ARGV[1], clock(ARGV[2])
local taken, what, wait, said = tonumber(ARGV[3]) or now, ARGV[4], tonumber(ARGV[5]), ARGV[6]
local count, seconds = tonumber(ARGV[7]), tonumber(ARGV[8])
local key = PREFIX .. 'pace:' .. account
local pace = pace_of(account)
local share = share_at(pace, now)
local paused = pace.pause

local function answer(word)
  return {word, string.format('%.6f', share), string.format('%.6f', paused)}
end
local function keep(long)
  if redis.call('TTL', key) < long then redis.call('EXPIRE', key, math.ceil(long)) end
end
local function pause(long)
  paused = math.max(paused, now + long)
  redis.call('HSET', key, 'until', string.format('%.6f', paused), 'why', said)
  keep(long + 900)
end

if wait > 0 then pause(wait) end
if what == 'connections' then
  local open = 0
  local raw = redis.call('HGETALL', PREFIX .. 'held:' .. account)
  for i = 1, #raw, 2 do
    if raw[i] ~= 'maximum' and string.sub(raw[i], 1, 1) ~= '+' then open = open + tonumber(raw[i + 1]) end
  end
  -- One cause makes many replies: all within two seconds count as one.
  if pace.conns_at and now < pace.conns_at + 2 then return answer('known') end
  if pace.conns_at and open > 0 then open = math.min(open, connections_at(pace, open, now)) end
  redis.call('HSET', key, 'conns_at', string.format('%.6f', now), 'conns',
             math.max(1, math.floor(open / 2)), 'why', said)
  keep(CONNECTION_EVERY * math.max(2, open) + 60)
  if open <= 1 then pause(math.max(wait, 5)) end
  return answer('lowered')
end

local scale, base = math.max(1, seconds), pace.base
local window = PREFIX .. 'permits:account:' .. account .. ':' .. scale
local meter = PREFIX .. 'meter:' .. account
local bin = math.floor(now * 10 / scale)
redis.call('HINCRBY', meter, 'r' .. bin, 1)
redis.call('EXPIRE', meter, math.max(10, 2 * scale))
if pace.at and taken < pace.at + pace.scale then return answer('known') end

-- The rate that the server takes is estimated by what it took in the last window: the messages that count
-- there, without those that it refused.
local taken_in, raw = 0, redis.call('HGETALL', window)
for i = 1, #raw, 2 do
  if string.sub(raw[i], 1, 1) == 'f' then
    taken_in = taken_in + tonumber(string.match(raw[i + 1], ' (%d+)$'))
  elseif tonumber(raw[i]) and (tonumber(raw[i]) + 1) * scale / 100 > now - scale then
    taken_in = taken_in + tonumber(raw[i + 1])
  end
end
raw = redis.call('HGETALL', meter)
local most = 0
for i = 1, #raw, 2 do
  local refused = tonumber(string.match(raw[i], '^r(%d+)$'))
  if refused and refused > bin - 10 then
    taken_in = taken_in - tonumber(raw[i + 1])
  elseif refused then
    redis.call('HDEL', meter, raw[i])
  elseif tonumber(raw[i]) > now - 4 then
    most = math.max(most, tonumber(raw[i + 1]))
  end
end
if count == 0 and not base then
  base = math.max(2, most)
  taken_in = base
  -- Its first window begins full: what filled it was sent without permits.
  redis.call('HINCRBY', window, math.floor(now * 100), base)
  redis.call('EXPIRE', window, 60)
end
local full = base or count
local floor = 1 / full
local likely = share
if taken_in >= 1 then likely = math.max(floor, share / 8, math.min(share, taken_in / full)) end
local low = math.max(floor, math.min(share / 2, KNEE * likely))
local strikes = 0
if share <= 1.5 * floor then
  strikes = pace.strikes + 1
  pause(math.max(wait, math.min(300, 5 * 2 ^ (strikes - 1))))
end
redis.call('HSET', key, 'at', string.format('%.6f', math.max(now, paused)), 'low', low, 'fail', likely,
           'scale', scale, 'strikes', strikes, 'why', said)
if base then redis.call('HSET', key, 'base', base) end
keep(base and 900 or math.min(86400, scale * LONGEST) + 60)
share = low
return answer(strikes > 0 and 'paused' or 'lowered')
