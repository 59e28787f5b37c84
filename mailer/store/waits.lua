-- Whether a task message that is on the broker has waited for a process.
--
-- queued:<queue>  zset  read: batches whose task message is on the broker
--
-- *oldest* and *newest* bound since when it waits; *counts* says of a batch whether it is meant. Looks at
-- the first few only: who waits longest is found there.

local LOOK = 64
local function waits(queue, oldest, newest, counts)
  for _, ref in ipairs(redis.call('ZRANGEBYSCORE', PREFIX .. 'queued:' .. queue, oldest, newest, 'LIMIT', 0, LOOK)) do
    if counts(ref) then return true end
  end
  return false
end
