-- Does work wait that a process could do, while some accounts' batches keep it?
--
-- queued:<queue>      zset  read: batches whose task message is on the broker
-- turns:<queue>       zset  read: campaigns with batches that wait for their turn
-- turns:<queue>:<c>   zset  read: the first of them
-- batch:<ref>         hash  read: account
--
-- ARGV: queue, now, seconds that a batch must have waited (a process that is free takes it sooner),
--       seconds after which its task message is lost, and nobody can hurry,
-- accounts of which batches do not count, … Returns 1 | 0. It looks at the first few only: those that
-- wait longest are there.

local queue, now, waited = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local turns = PREFIX .. 'turns:' .. queue
local excluded = {}
for i = 5, #ARGV do excluded[ARGV[i]] = true end

local function counts(ref)
  local account = redis.call('HGET', PREFIX .. 'batch:' .. ref, 'account')
  return account and not excluded[account]
end

if waits(queue, now - tonumber(ARGV[4]), now - waited, counts) then return 1 end
for _, campaign in ipairs(redis.call('ZRANGE', turns, 0, LOOK - 1)) do
  local ref = redis.call('ZRANGE', turns .. ':' .. campaign, 0, 0)[1]
  if ref and counts(ref) then return 1 end
end
return 0
