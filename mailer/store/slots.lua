-- Share an account's connections among worker processes: never more than the limit, fairly.
--
-- slots:<a>  zset  process → when its lease ends; who has no living lease counts for nothing
-- held:<a>   hash  process → connections it has open; 'maximum' → the limit as last told;
--                  '+<process>' → how many more it asked for in vain, and until when that counts
-- pace:<a>   hash  read: connections after a throttling reply
--
-- ARGV: account, process, now ('': by Redis's clock), seconds that the lease lasts,
--       then 'acquire', how many more, the limit, how many at most now | 'renew', how many it has ('': as known),
--       'rests' where it uses none of them just now | 'release', how many
-- Returns: acquire: how many more may be opened | renew: how many to close | release: how many it has
--
-- Fair: the limit is dealt out one by one to whoever wants another (max-min). Whoever holds more than
-- that is told at its next renewal to close the surplus, as far as others go short of their share. Who rests
-- wants none: what it keeps open for the next batch goes first.

local account, process, now = ARGV[1], ARGV[2], clock(ARGV[3])
local ends = string.format('%.6f', now + tonumber(ARGV[4]))
local what, number = ARGV[5], tonumber(ARGV[6] or '0')
local ASKED = 3
local leases, held_key = PREFIX .. 'slots:' .. account, PREFIX .. 'held:' .. account

local function forget(name)
  redis.call('ZREM', leases, name)
  redis.call('HDEL', held_key, name, '+' .. name)
end

-- A process that wakes up after its lease keeps its count: it must learn how many to close.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now - 3600)) do forget(name) end

local living, held, wants, total = {}, {}, {}, 0
local function read()
  living, held, wants, total = {}, {}, {}, 0
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', leases, '(' .. now, '+inf')) do
    local counts = redis.call('HMGET', held_key, name, '+' .. name)
    living[#living + 1] = name
    held[name] = tonumber(counts[1] or '0')
    local more, asked_until = string.match(counts[2] or '', '^(%d+) (%S+)$')
    wants[name] = held[name]
    if more and tonumber(asked_until) > now then wants[name] = held[name] + tonumber(more) end
    total = total + held[name]
  end
  table.sort(living)
end

local limit

-- Max-min: one each, and again, to whoever wants another.
local function shares_with(own_want)
  if held[process] == nil then
    living[#living + 1] = process
    table.sort(living)
  end
  held[process], wants[process] = held[process] or 0, own_want
  local share, left, dealt = {}, limit, true
  for _, name in ipairs(living) do share[name] = 0 end
  while left > 0 and dealt do
    dealt = false
    for _, name in ipairs(living) do
      if left > 0 and share[name] < wants[name] then
        share[name], left, dealt = share[name] + 1, left - 1, true
      end
    end
  end
  return share
end

local own = tonumber(redis.call('HGET', held_key, process) or '0')
if what == 'release' then
  own = math.max(0, own - number)
  redis.call('HSET', held_key, process, own)
  if own == 0 and not redis.call('HGET', held_key, '+' .. process) then forget(process) end
  if redis.call('ZCARD', leases) == 0 then redis.call('DEL', held_key) end
  return own
end

if what == 'acquire' then redis.call('HSET', held_key, 'maximum', ARGV[7]) end
local configured = tonumber(redis.call('HGET', held_key, 'maximum') or '0')
limit = connections_at(pace_of(account), configured, now)
read()
local lapsed = held[process] == nil
local others = total - (held[process] or 0)
if what == 'renew' and ARGV[6] ~= '' then own = number end

-- What others may still have of their fair share; it stays theirs although it is free.
local want = own + (what == 'acquire' and number or 0)
if what == 'renew' and ARGV[7] == 'rests' then want = 0 end
local share = shares_with(want)
local short = 0
for _, name in ipairs(living) do
  if name ~= process then short = short + math.max(0, share[name] - held[name]) end
end

redis.call('ZADD', leases, ends, process)
redis.call('EXPIRE', leases, 7200)
redis.call('EXPIRE', held_key, 7200)
if what == 'acquire' then
  local more = math.max(0, math.min(number, tonumber(ARGV[8]), limit - others - own - short))
  redis.call('HSET', held_key, process, own + more)
  if number > more then
    redis.call('HSET', held_key, '+' .. process, (number - more) .. ' ' .. (now + ASKED))
  else
    redis.call('HDEL', held_key, '+' .. process)
  end
  return more
end

redis.call('HSET', held_key, process, own)
if own == 0 then
  if lapsed then forget(process) end
  return 0
end
if lapsed then return math.min(own, math.max(0, others + own - limit)) end
return math.max(0, math.min(own - share[process], others + own + short - limit))
