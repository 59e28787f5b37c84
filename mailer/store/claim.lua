-- Take a batch: at most one living lease exists, and each newer one has a higher fence.
--
-- batch:<ref>     hash   state, owner, fence, deaths; read: began
-- timers          zset   ref → when the lease ends
-- campaign:<c>    hash   read: state, start
--
-- ARGV: ref, owner, now, end of the lease
-- Returns {'gone'} (final, or never there) | {'busy'} (a living lease) | {'waiting'} (not due)
--   | {'parked', event} | {'cancelled', how many}
--   | {'claimed', fence, deaths, positions, letters, account, queue, payload, when it was made, trace,
--      began, position, detail, position, detail, …}

local ref, owner, now, ends = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local campaign = campaign_of(ref)
local key = PREFIX .. 'batch:' .. ref
local fields = redis.call('HMGET', key, 'state', 'positions', 'account', 'queue', 'deaths', 'fence',
                          'owner', 'without', 'made', 'trace', 'began')
local state, positions, account, queue = fields[1], fields[2], fields[3], fields[4]
local deaths, fence = tonumber(fields[5] or '0'), fields[6]
if not state then return {'gone'} end
if not FOLLOWS[state] then return {'busy'} end  -- a newer version's: its workers know what to do

local ends_at = tonumber(redis.call('ZSCORE', PREFIX .. 'timers', ref) or '0')
local again = state == 'leased' and fields[7] == owner  -- the reply to the first call was lost
if state == 'leased' and ends_at > now and not again then return {'busy'} end
if state == 'waiting' and ends_at > now then return {'waiting'} end

local about = redis.call('HMGET', PREFIX .. 'campaign:' .. campaign, 'state', 'start')
local campaign_state = about[1]
if campaign_state == 'cancelled' and state ~= 'leased' then
  local cancelled = cancel_rest(ref)
  if open_of(ref) == 0 then
    forget_batch(ref)
    return {'cancelled', cancelled}
  end
end
-- A batch with messages left transmitting is claimed all the same: they are settled first, which sends
-- nothing.
local letters = letters_of(campaign, positions, fields[8])
if campaign_state == 'paused' and state ~= 'leased' and not string.find(letters, 't') then
  local event = 'campaign:' .. campaign
  enter(ref, 'parked', now, event)
  return {'parked', event}
end

-- The start was moved since the batch was queued.
if tonumber(about[2] or '0') > now and state ~= 'leased' and not string.find(letters, 't') then
  enter(ref, 'waiting', about[2])
  return {'waiting'}
end

enter(ref, 'leased', ends)
if not again then
  if state == 'leased' then deaths = redis.call('HINCRBY', key, 'deaths', 1) end
  fence = redis.call('HINCRBY', key, 'fence', 1)
  redis.call('HSET', key, 'owner', owner)
  redis.call('HDEL', key, 'due', 'lapsed')
end
redis.call('HSETNX', PREFIX .. 'campaign:' .. campaign, 'started', now)

local answer = {'claimed', fence, deaths, positions, letters, account, queue,
                redis.call('GET', PREFIX .. 'payload:' .. ref) or '', fields[9] or '0', fields[10] or '',
                fields[11] or '0'}
if string.find(letters, '[dt]') then
  for i, position in ipairs(positions_of(positions)) do
    local letter = string.sub(letters, i, i)
    if letter == 'd' or letter == 't' then
      local detail = redis.call('HGET', PREFIX .. 'detail:' .. campaign, position)
      if detail then
        answer[#answer + 1] = position
        answer[#answer + 1] = detail
      end
    end
  end
end
return answer
