-- Write down what came back of one message, once; drop its recipient by policy; pause the campaign when
-- too much comes back. With campaign '' only the policy is applied: a refusal in the SMTP session.
--
-- back:<c>          hash    += kind .. fingerprint → the record (JSON), the first one; a bounce for good
--                           takes the place of one for now
-- backs:<c>         hash    kind → number of recipients; 'permanent' of bounces
-- refusals:<fp>     hash    reason, times, first, last: what the policy counts; removed by a delivery
-- suppressed        hash    += fingerprint → mailbox, reason, time, and what lies beside (barring.lua)
-- counts:<c>        hash    read: accepted
-- campaign:<c>      hash    state, why := paused, where the brake is met; accept_rate is read
-- resumed           set     -= a campaign that is paused here
-- events            stream  += that it came back, where it is news
--
-- ARGV: campaign, fingerprint, kind, now, record, permanent ('1' or ''), mailbox, reason, why,
--       times ('': no policy), span, lasts, memory, brake of bounces, of complaints (shares, '' for none),
--       after how many, an entry of events about one recipient ('': nobody follows),
--       the scope in which the recipient is dropped
-- Returns {'gone' | 'new' | 'known' | 'worse', '1' where it was dropped now, why it was paused now or ''}

local campaign, fingerprint, kind, now = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local permanent, mailbox, reason = ARGV[6] == '1', ARGV[7], ARGV[8]
local key = PREFIX .. 'campaign:' .. campaign

-- The lower end of the Wilson interval (95 %): a handful of bounces among few messages proves nothing.
local function at_least(number, total)
  local z, share = 1.96, number / total
  local middle = share + z * z / (2 * total)
  local spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
  return (middle - spread) / (1 + z * z / total)
end

local function counted(hash, field)
  return tonumber(redis.call('HGET', PREFIX .. hash .. ':' .. campaign, field) or '0')
end

local function pause(number, limit, what, total)
  if limit == '' or at_least(number, total) < tonumber(limit) then return end
  local accepted = redis.call('HGET', key, 'accept_rate')
  if redis.call('HGET', key, 'state') ~= 'running' or accepted then return end
  local why = number .. ' of ' .. total .. ' ' .. what
  redis.call('HSET', key, 'state', 'paused', 'why', why)
  redis.call('SREM', PREFIX .. 'resumed', campaign)
  return why
end

local function brake()
  local total = counted('counts', 'a')
  if total == 0 or total < tonumber(ARGV[16]) then return '' end
  return pause(counted('backs', 'permanent'), ARGV[14], 'bounced for good', total)
         or pause(counted('backs', 'complaint'), ARGV[15], 'complained', total) or ''
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

if kind == 'delivered' then redis.call('DEL', PREFIX .. 'refusals:' .. fingerprint) end
local function news()
  if ARGV[17] ~= '' then tell(1, 'e', ARGV[17]) end
end

if campaign == '' then
  local dropped = drop()
  if dropped == '1' then news() end
  return {'new', dropped, ''}
end
if redis.call('EXISTS', key) == 0 then return {'gone', '', ''} end

local back, field, answer = PREFIX .. 'back:' .. campaign, kind .. fingerprint, 'new'
local before = redis.call('HGET', back, field)
if before then
  if not permanent or cjson.decode(before).permanent == true then return {'known', '', ''} end
  answer = 'worse'
end
redis.call('HSET', back, field, ARGV[5])
if not before then redis.call('HINCRBY', PREFIX .. 'backs:' .. campaign, kind, 1) end
if permanent then redis.call('HINCRBY', PREFIX .. 'backs:' .. campaign, 'permanent', 1) end
news()
return {answer, drop(), brake()}
