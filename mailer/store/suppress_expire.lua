-- Take off the suppression list whose time is over, some at a time.
--
-- suppressed:until, suppressed:ends  zset  read; the rest as barring.lua says
--
-- ARGV: now, at most how many of each
-- Returns how many were taken off

local taken = 0
local function over(name)
  return redis.call('ZRANGEBYSCORE', PREFIX .. name, '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
end
for _, fingerprint in ipairs(over('suppressed:until')) do
  taken = taken + unbar(fingerprint, 'all', '')
  redis.call('ZREM', PREFIX .. 'suppressed:until', fingerprint)
end
for _, member in ipairs(over('suppressed:ends')) do
  taken = taken + unbar(string.sub(member, 1, 8), string.sub(member, 9), '')
  redis.call('ZREM', PREFIX .. 'suppressed:ends', member)
end
return taken
