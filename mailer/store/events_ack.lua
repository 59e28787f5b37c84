-- A consumer has read up to an entry: move its cursor, and take away what all consumers have read.
--
-- events:consumers hash  consumer → id, forwards only, and from where it read: a Redis that was restored since
--                        from an older backup has another cursor, and what lies behind that is to be read
-- events:read      hash  consumer += how many
-- events           stream  -= entries up to the lowest cursor
--
-- ARGV: consumer, id of the last entry read, how many recipients were told of since its last cursor, that cursor
-- Returns 1, or 0 where the cursor stands elsewhere: there already, further, or where a backup had it

local function parts(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(n)
end
local function before(one, other)
  local a, b = parts(one)
  local c, d = parts(other)
  return a < c or (a == c and b < d)
end

local key, consumer, id = PREFIX .. 'events:consumers', ARGV[1], ARGV[2]
local cursor = redis.call('HGET', key, consumer) or '0-0'
if cursor ~= ARGV[4] or not before(cursor, id) then return 0 end
redis.call('HSET', key, consumer, id)
redis.call('HINCRBY', PREFIX .. 'events:read', consumer, ARGV[3])
local lowest = id
for _, other in ipairs(redis.call('HVALS', key)) do
  if before(other, lowest) then lowest = other end
end
local ms, n = parts(lowest)
redis.call('XTRIM', PREFIX .. 'events', 'MINID', string.format('%.0f-%.0f', ms, n + 1))
return 1
