-- Let a campaign begin at another time. Its batches follow with reschedule.lua.
--
-- campaign:<c>  hash  start := that time     counts:<c>  hash  read
--
-- ARGV: campaign, now, start
-- Returns {'gone'} | {'cancelled'} | {'final'} (nobody is open) | {'moved', start before, batches}

local campaign, start = ARGV[1], ARGV[3]
local key = PREFIX .. 'campaign:' .. campaign
local fields = redis.call('HMGET', key, 'state', 'start', 'batches', 'enqueued')
if not fields[1] then return {'gone'} end
if fields[1] == 'cancelled' then return {'cancelled'} end
local open = 0
for letter in pairs(OPEN) do
  open = open + tonumber(redis.call('HGET', PREFIX .. 'counts:' .. campaign, letter) or '0')
end
if open == 0 and fields[4] == '1' then return {'final'} end
redis.call('HSET', key, 'start', start)
return {'moved', fields[2] or '0', fields[3] or '0'}
