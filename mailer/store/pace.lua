-- How fast an account may go just now, below what is configured: shared by the scripts of permits,
-- throttling and connections. Multiplicative decrease is written down by pace_throttled.lua; the
-- additive increase is a function of time and needs no writer.
--
-- pace:<a>  hash  at      when a throttling reply last lowered the rate
--                 low     share of the rate right after that      fail  share at which it came
--                 scale   seconds of the shortest window          base  messages a second, measured
--                                                                       where no rate is configured
--                 conns_at, conns  the same for connections       strikes  throttled at the floor
--                 until, why       nothing is sent before this time, and what the server said

local KNEE, RISE, CREEP, CALM, LONGEST = 0.9, 4, 0.01, 20, 240
local CONNECTION_EVERY = 30

local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local function pace_of(account)
  local raw = redis.call('HMGET', PREFIX .. 'pace:' .. account, 'at', 'low', 'fail', 'scale', 'base',
                         'until', 'conns_at', 'conns', 'strikes', 'why')
  return {at = tonumber(raw[1] or nil), low = tonumber(raw[2] or nil), fail = tonumber(raw[3] or nil),
          scale = tonumber(raw[4] or nil), base = tonumber(raw[5] or nil),
          pause = tonumber(raw[6] or nil) or 0, conns_at = tonumber(raw[7] or nil),
          conns = tonumber(raw[8] or nil), strikes = tonumber(raw[9] or nil) or 0,
          why = raw[10] or ''}
end

-- The share of its rate that the account may use: from *low* to nine tenths of what was too much in four
-- windows, then a hundredth of it more in each. After twenty windows without a throttling reply the share
-- is too low: from then on it grows with the cube of time, as the first throttling may have had a passing
-- cause. Beyond 1 only where the rate was measured.
local function share_at(pace, now)
  if not pace.at then return 1 end
  local windows = math.max(0, now - pace.at) / pace.scale
  local knee = math.max(pace.low, KNEE * pace.fail)
  local share
  if windows < RISE then
    share = pace.low + (knee - pace.low) * windows / RISE
  else
    share = knee + CREEP * pace.fail * (windows - RISE)
    if windows > CALM then share = share + pace.fail * ((windows - CALM) / CALM) ^ 3 end
  end
  if pace.base then return share end
  return math.min(1, share)
end

-- How many of *maximum* connections may be open: one more each half minute after they were halved.
local function connections_at(pace, maximum, now)
  if not pace.conns_at then return maximum end
  local grown = math.floor(math.max(0, now - pace.conns_at) / CONNECTION_EVERY)
  return math.min(maximum, pace.conns + grown)
end
