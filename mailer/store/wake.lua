-- The event is over: queue what was parked for it, some at a time.
--
-- parked:<event>  zset  -= those      batch:<ref>  hash  state := queued
-- queued:<queue>  zset  += those      resumed      set   -= the campaign, when none is left
--
-- stopped:<c>  hash  read: mail that is still held back is not woken
--
-- ARGV: event, now, at most how many
-- Returns {queue, ref, queue, ref, …}; empty when none is left

local publish = {}
local key = PREFIX .. 'parked:' .. ARGV[1]
local kind, campaign = string.match(ARGV[1], '^(%a+):(.*)')
local is_held = redis.call('EXISTS', PREFIX .. 'stopped:' .. campaign) == 1
if kind == 'receivers' and is_held then return publish end
for _, ref in ipairs(redis.call('ZRANGE', key, 0, tonumber(ARGV[3]) - 1)) do
  redis.call('ZREM', key, ref)
  if redis.call('HGET', PREFIX .. 'batch:' .. ref, 'state') == 'parked' then
    publish[#publish + 1] = set_queued(ref, ARGV[2])
    publish[#publish + 1] = ref
  end
end
local function waits(event)
  return redis.call('EXISTS', PREFIX .. 'parked:' .. event .. ':' .. campaign) == 1
end
if kind ~= 'account' and not waits('campaign') and (is_held or not waits('receivers')) then
  redis.call('SREM', PREFIX .. 'resumed', campaign)
end
return publish
