-- Look at limits without taking permits; nothing is changed.
--
-- permits:<scope>:<seconds> hash, pace:<a> hash: read
--
-- ARGV: account, now ('': by Redis's clock), flight, then the limits, all of one class (permits.lua)
-- Returns names and values: {'used', …, 'allowed' ('inf': no bound any more) of the first limit, …,
--         'free' (of all; 'inf': nothing bounds it), …, 'least' (fewer are not worth a batch), …,
--         'free_at' (when that many are free), …}

local account, now, flight = ARGV[1], clock(ARGV[2]), tonumber(ARGV[3])
local pace = pace_of(account)
local limits = limits_of(4, account, pace)
local free = free_by_class(limits, math.huge, share_at(pace, now), now, flight)
if pace.pause > now then free[0] = 0 end

local least, at = 1, now
for _, limit in ipairs(limits) do
  least = math.max(least, least_of(limit))
  if limit.class == 0 then at = math.max(at, retry_at(limit, 0, math.huge, now)) end
end
for _, limit in ipairs(limits) do least = math.min(least, most_of(limit)) end
if pace.pause > now then at = pace.pause end
local first = limits[1] or {used = 0, allowed = math.huge}
return {'used', first.used, 'allowed', tostring(first.allowed), 'free', tostring(free[0]), 'least', least,
        'free_at', string.format('%.6f', at)}
