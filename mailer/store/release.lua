-- End a lease: the batch is final, waits for a time, is parked for an event, or goes back.
--
-- batch:<ref> hash, payload:<ref> string: removed when no recipient is open
-- campaign:<c> hash: active := now; latest := when the last of those that wait goes on
-- stopped:<c> hash: read
-- timers, queued:<queue>, parked:<event> zsets: wherever it is now, and only there
--
-- ARGV: ref, fence, now, 'queued' | 'waiting' | 'parked', due or event
-- Returns {'final'} | {'queued', queue} (publish its task) | {'waiting'} | {'parked'} | {'lost'}

local ref, fence, now, how, what = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local key = PREFIX .. 'batch:' .. ref
if not holds(ref, fence, now) then return {'lost'} end
redis.call('HSET', PREFIX .. 'campaign:' .. campaign_of(ref), 'active', now)
local open = open_of(ref)
if open == 0 then
  forget_batch(ref)
  return {'final'}
end
redis.call('HSET', key, 'deaths', 0, 'open', open)
if how == 'waiting' and tonumber(what) > now then
  enter(ref, 'waiting', what)
  local campaign = PREFIX .. 'campaign:' .. campaign_of(ref)
  if tonumber(redis.call('HGET', campaign, 'latest') or '0') < tonumber(what) then
    redis.call('HSET', campaign, 'latest', what)
  end
  return {'waiting'}
end
-- An event may have ended while the worker was on its way here: then nobody would wake the batch.
local lasts = {campaign = {paused = true}, account = {stopped = true, cooling = true}}
if how == 'parked' then
  local kind = string.match(what, '^(%a+):')
  local held = kind == 'receivers' and redis.call('EXISTS', PREFIX .. 'stopped:' .. campaign_of(ref)) == 1
  if held or (lasts[kind] and lasts[kind][redis.call('HGET', PREFIX .. what, 'state')]) then
    enter(ref, 'parked', now, what)
    return {'parked'}
  end
end
return {'queued', set_queued(ref, now)}
