-- Write down what came back of one message, once; drop its recipient by policy; when too much comes back,
-- pause the campaign, or hold back its mail to one receiver. With campaign '' only the policy is applied: a
-- refusal in the SMTP session.
--
-- back:<c>          hash    += kind .. fingerprint → the record (JSON), the first one; a bounce for good
--                           takes the place of one for now
-- backs:<c>         hash    kind → number of recipients; 'permanent' of bounces
-- refusals:<fp>     hash    reason, times, first, last: what the policy counts; removed by a delivery
-- suppressed        hash    += fingerprint → mailbox, reason, time, and what lies beside (barring.lua)
-- counts:<c>        hash    read: accepted
-- receivers:<c>     hash    'a' .. domain: read; 'b' (bounced for good) and 'c' (complained) .. domain += 1
-- stopped:<c>       hash    += domain → why its mail is held back
-- campaign:<c>      hash    state, why := paused, where the brake is met; accept_rate is read
-- resumed           set     -= a campaign that is paused here
-- alerts            zset    += that it paused itself, or holds mail back
-- events            stream  += that it came back, where it is news
--
-- ARGV: campaign, fingerprint, kind, now, record, permanent ('1' or ''), mailbox, reason, why,
--       times ('': no policy), span, lasts, memory, brake of bounces, of complaints (shares, '' for none),
--       after how many, an entry of events about one recipient ('': it is not told; '?': not made yet),
--       the scope in which the recipient is dropped, the recipient's domain ('': not known)
-- Returns {'followed'} (nothing written: the entry is wanted) | {'gone' | 'new' | 'known' | 'worse',
--   '1' where it was dropped now, why it was paused now or '', the domain that is held back from now on and why, or ''}

local campaign, fingerprint, kind, now = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local permanent, mailbox, reason, domain = ARGV[6] == '1', ARGV[7], ARGV[8], ARGV[19]
local key = PREFIX .. 'campaign:' .. campaign
local receivers = PREFIX .. 'receivers:' .. campaign

-- The lower end of the Wilson interval (95 %): a few bounces among few messages prove nothing.
local function at_least(number, total)
  local z, share = 1.96, number / total
  local middle = share + z * z / (2 * total)
  local spread = z * math.sqrt(math.max(share * (1 - share), 0) / total + z * z / (4 * total * total))
  return (middle - spread) / (1 + z * z / total)
end

local function counted(hash, field)
  return tonumber(redis.call('HGET', hash, field) or '0')
end

-- Why so many bounces and complaints among *total* are too many; nil where they are not.
local function too_many(bounces, complaints, total)
  if total == 0 or total < tonumber(ARGV[16]) then return end
  local function is_beyond(number, limit)
    return limit ~= '' and at_least(math.min(number, total), total) >= tonumber(limit)
  end
  if is_beyond(bounces, ARGV[14]) then return bounces .. ' of ' .. total .. ' bounced for good' end
  if is_beyond(complaints, ARGV[15]) then return complaints .. ' of ' .. total .. ' complained' end
end

local function alert(event, why)
  local told = cjson.encode({campaign .. ' ' .. ARGV[4],
                             {event = event, at = now, campaign = campaign, reason = why}})
  redis.call('ZADD', PREFIX .. 'alerts', ARGV[4], told)
end

local function pause()
  local backs, accepted = PREFIX .. 'backs:' .. campaign, counted(PREFIX .. 'counts:' .. campaign, 'a')
  local why = too_many(counted(backs, 'permanent'), counted(backs, 'complaint'), accepted)
  if not why then return '' end
  redis.call('HSET', key, 'state', 'paused', 'why', why)
  redis.call('SREM', PREFIX .. 'resumed', campaign)
  alert('campaign_paused', why)
  return why
end

local function hold()
  if domain == '' then return '' end
  local why = too_many(counted(receivers, 'b' .. domain), counted(receivers, 'c' .. domain),
                       counted(receivers, 'a' .. domain))
  if not why or redis.call('HSETNX', PREFIX .. 'stopped:' .. campaign, domain, why) == 0 then return '' end
  alert('receiver_held', domain .. ': ' .. why)
  return domain .. ': ' .. why
end

local function brake()
  local about = redis.call('HMGET', key, 'state', 'accept_rate')
  if about[1] ~= 'running' or about[2] then return '', '' end
  local paused = pause()
  if paused ~= '' then return paused, '' end
  return '', hold()
end

local function drop()
  if ARGV[10] == '' then return '' end
  local refusals = PREFIX .. 'refusals:' .. fingerprint
  if redis.call('HGET', refusals, 'reason') ~= reason then
    redis.call('DEL', refusals)
    redis.call('HSET', refusals, 'reason', reason, 'first', now)
  end
  local times = redis.call('HINCRBY', refusals, 'times', 1)
  redis.call('EXPIRE', refusals, math.floor(tonumber(ARGV[13])))
  local first = tonumber(redis.call('HGET', refusals, 'first'))
  if times < tonumber(ARGV[10]) or now - first < tonumber(ARGV[11]) then return '' end
  redis.call('DEL', refusals)
  local lasts = tonumber(ARGV[12])
  local is_new = bar(fingerprint, {mailbox = mailbox, reason = reason, since = now, why = ARGV[9],
                                   ends = lasts > 0 and now + lasts or 0, scope = ARGV[18]})
  return is_new and '1' or ''
end

-- To make the entry, the recipient's position must be looked for: only if somebody reads events.
if ARGV[17] == '?' and redis.call('EXISTS', PREFIX .. 'events:consumers') == 1 then
  return {'followed', '', '', ''}
end
local function news()
  if ARGV[17] ~= '' and ARGV[17] ~= '?' then tell(1, 'e', ARGV[17]) end
end

if kind == 'delivered' then redis.call('DEL', PREFIX .. 'refusals:' .. fingerprint) end
if campaign == '' then
  local dropped = drop()
  if dropped == '1' then news() end
  return {'new', dropped, '', ''}
end
if redis.call('EXISTS', key) == 0 then return {'gone', '', '', ''} end

local back, field, answer = PREFIX .. 'back:' .. campaign, kind .. fingerprint, 'new'
local before = redis.call('HGET', back, field)
if before then
  if not permanent or decoded(before).permanent == true then return {'known', '', '', ''} end
  answer = 'worse'
end
redis.call('HSET', back, field, ARGV[5])
if not before then redis.call('HINCRBY', PREFIX .. 'backs:' .. campaign, kind, 1) end
if permanent then redis.call('HINCRBY', PREFIX .. 'backs:' .. campaign, 'permanent', 1) end
if domain ~= '' and redis.call('HLEN', receivers) < 20000 then
  if permanent then redis.call('HINCRBY', receivers, 'b' .. domain, 1) end
  if kind == 'complaint' then redis.call('HINCRBY', receivers, 'c' .. domain, 1) end
end
news()
local dropped = drop()
local paused, held = brake()
return {answer, dropped, paused, held}
