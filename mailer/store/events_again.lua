-- Have deliveries that were set aside delivered again: some at a time, the oldest first.
--
-- events:aside:<k>  stream  -= up to so many
-- events:again:<k>  stream  += these
--
-- ARGV: consumer, how many
-- Returns of how many deliveries, and of how many events

local aside, again = PREFIX .. 'events:aside:' .. ARGV[1], PREFIX .. 'events:again:' .. ARGV[1]
local deliveries, events = 0, 0
for _, entry in ipairs(redis.call('XRANGE', aside, '-', '+', 'COUNT', ARGV[2])) do
  redis.call('XADD', again, '*', unpack(entry[2]))
  redis.call('XDEL', aside, entry[1])
  deliveries, events = deliveries + 1, events + tonumber(entry[2][2])
end
return {deliveries, events}
