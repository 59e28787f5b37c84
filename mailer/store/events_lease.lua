-- Take or renew the right to read for a consumer: one process at a time, so that events come in order.
--
-- events:consumers       hash    += consumer, at the beginning of the stream
-- events:read            hash    += consumer, with what is no more in the stream
-- events:lease:<k>       string  := owner, for so long
--
-- ARGV: consumer, owner, milliseconds ('0': only be known as a consumer, so that nothing is taken away unread)
-- Returns 1 where it is this owner's now, else 0

local consumer, owner = ARGV[1], ARGV[2]
local key = PREFIX .. 'events:lease:' .. consumer
if redis.call('HSETNX', PREFIX .. 'events:consumers', consumer, '0-0') == 1 then
  local added, gone = tonumber(redis.call('GET', PREFIX .. 'events:added') or '0'), 0
  if redis.call('XLEN', PREFIX .. 'events') == 0 then gone = added end
  for _, read in ipairs(redis.call('HVALS', PREFIX .. 'events:read')) do
    if gone == 0 or tonumber(read) < gone then gone = tonumber(read) end
  end
  redis.call('HSETNX', PREFIX .. 'events:read', consumer, gone)
end
if ARGV[3] == '0' then return 0 end
local holder = redis.call('GET', key)
if holder and holder ~= owner then return 0 end
redis.call('SET', key, owner, 'PX', ARGV[3])
return 1
