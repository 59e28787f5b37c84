-- Queue the batches of an account that wait for a later try: the account is stopped, and waiting is of no
-- use. Batches that were never begun go on waiting: their campaign has not started yet.
--
-- timers          zset  -= those          batch:<ref>  hash  state := queued
-- queued:<queue>  zset  += those
--
-- ARGV: account, now, how many to pass over, how many to look at
-- Returns {how many were looked at and left, queue, ref, queue, ref, …}

local account, now, first = ARGV[1], ARGV[2], tonumber(ARGV[3])
local answer = {0}
for _, ref in ipairs(redis.call('ZRANGE', PREFIX .. 'timers', first, first + ARGV[4] - 1)) do
  local batch = redis.call('HMGET', PREFIX .. 'batch:' .. ref, 'state', 'account', 'fence')
  if batch[1] == 'waiting' and batch[2] == account and batch[3] ~= '0' then
    answer[#answer + 1] = set_queued(ref, now)
    answer[#answer + 1] = ref
  else
    answer[1] = answer[1] + 1
  end
end
return answer
