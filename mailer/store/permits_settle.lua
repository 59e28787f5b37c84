-- Settle a grant, or part of it: what was sent counts from now on, what was not sent is free again.
--
-- permits:<scope>:<seconds>  hash  f<token> := what is still in flight; slot of now += what was sent
--
-- ARGV: token, now ('': by Redis's clock),
--       then for each limit: key, kind, seconds, time of the next reset, still in flight, sent
-- A repeated call changes nothing more, or counts a message twice: never one too few.

local token, now = ARGV[1], clock(ARGV[2])
for i = 3, #ARGV, 6 do
  local key, kind, seconds, reset = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local flying, sent = tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5])
  local entry = redis.call('HGET', key, 'f' .. token)
  if entry then
    local taken, count = string.match(entry, '^(%S+) (%d+)$')
    sent = math.min(sent, math.max(0, tonumber(count) - flying))
    if flying > 0 then
      redis.call('HSET', key, 'f' .. token, taken .. ' ' .. flying)
    else
      redis.call('HDEL', key, 'f' .. token)
    end
  end
  if sent > 0 and kind ~= 'flying' then
    local slot = reset
    if kind == 'rolling' then
      slot = math.floor(now * 100 / seconds)
    elseif now >= reset then
      slot = reset + seconds
    end
    redis.call('HINCRBY', key, string.format('%.0f', slot), sent)
    if kind ~= 'steps' then redis.call('EXPIRE', key, math.ceil(2 * seconds) + 60) end
  end
end
return 1
