-- Put a batch into the queue for permits, behind the earlier ones of its campaign.
--
-- lines           set   += scope, account:<a> or domain:<d>
-- line:<s>        zset  += campaign → messages it was called for, divided by its weight
-- line:<s>:<c>    zset  += ref → number of the batch
-- timers          zset  ref → later, so that the batch looks for itself only if nobody calls it
-- batch:<ref>     hash  due := that; read: state, payload's open messages
--
-- ARGV: scope, ref, now, when permits may be free
-- Returns when the batch is due, '' if it does not wait any more

local scope, ref, now, free_at = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local campaign = campaign_of(ref)
if redis.call('HGET', PREFIX .. 'batch:' .. ref, 'state') ~= 'waiting' then return '' end
local line = PREFIX .. 'line:' .. scope
redis.call('SADD', PREFIX .. 'lines', scope)
local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
redis.call('ZADD', line, 'NX', first[2] or 0, campaign)
redis.call('ZADD', line .. ':' .. campaign, string.match(ref, ':(%d+)$'), ref)
local ahead = redis.call('ZCARD', line .. ':' .. campaign)
local due = math.max(free_at, now) + 30 + ahead / 4
redis.call('HSET', PREFIX .. 'batch:' .. ref, 'due', string.format('%.6f', due))
redis.call('ZADD', PREFIX .. 'timers', 'XX', string.format('%.6f', due), ref)
return string.format('%.6f', due)
