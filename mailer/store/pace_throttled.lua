-- A reply asks for less: halve the account's rate or its connections, once for each cause.
--
-- pace:<a>   hash  see pace.lua; goes when the rate has recovered
-- meter:<a>  hash  read: messages a second, where no rate is configured
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
  -- One cause makes many replies: those within two seconds are the same one.
  if pace.conns_at and now < pace.conns_at + 2 then return answer('known') end
  if pace.conns_at and open > 0 then open = math.min(open, connections_at(pace, open, now)) end
  redis.call('HSET', key, 'conns_at', string.format('%.6f', now), 'conns',
             math.max(1, math.floor(open / 2)), 'why', said)
  keep(CONNECTION_EVERY * math.max(2, open) + 60)
  if open <= 1 then pause(math.max(wait, 5)) end
  return answer('lowered')
end

local scale, base = math.max(1, seconds), pace.base
if pace.at and taken < pace.at + pace.scale then return answer('known') end
if count == 0 and not base then
  local second, most = math.floor(now), 0
  for back = 0, 3 do
    most = math.max(most, tonumber(redis.call('HGET', PREFIX .. 'meter:' .. account, second - back) or '0'))
  end
  base = math.max(2, most)
end
local floor = 1 / (base or count)
local low = math.max(floor, share / 2)
local strikes = 0
if share <= 1.5 * floor then
  strikes = pace.strikes + 1
  pause(math.max(wait, math.min(300, 5 * 2 ^ (strikes - 1))))
end
redis.call('HSET', key, 'at', string.format('%.6f', math.max(now, paused)), 'low', low, 'fail', share,
           'scale', scale, 'strikes', strikes, 'why', said)
if count == 0 then
  redis.call('HSET', key, 'base', base)
  keep(900)
else
  local knee = math.max(low, KNEE * share)
  keep(math.min(21600, scale * (RISE + math.max(0, 1 - knee) / (CREEP * share))) + 60)
end
share = low
return answer(strikes > 0 and 'paused' or 'lowered')
