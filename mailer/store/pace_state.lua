-- How fast an account may go.
--
-- pace:<a>  hash  read
--
-- ARGV: account, now ('': by Redis's clock)
-- Returns {share, measured rate or '', connections or '', until, why}

local now = clock(ARGV[2])
local pace = pace_of(ARGV[1])
local connections = ''
if pace.conns_at then connections = connections_at(pace, math.huge, now) end
return {string.format('%.6f', share_at(pace, now)), pace.base and tostring(pace.base) or '',
        connections, string.format('%.6f', pace.pause > now and pace.pause or 0), pace.why}
