-- Set a delivery aside that the application did not take; of more than are kept, the oldest go.
--
-- events:aside:<k>  stream  += n, d (the delivery), w (why), at most so many
-- events:again:<k>  stream  -= the delivery, where it was one that is told again
-- events:lost       hash    consumer += events of what had to go
--
-- ARGV: consumer, how many are kept, events, delivery, why, id among those that are told again ('': none)

local key = PREFIX .. 'events:aside:' .. ARGV[1]
if ARGV[6] ~= '' and redis.call('XDEL', PREFIX .. 'events:again:' .. ARGV[1], ARGV[6]) == 0 then return end
redis.call('XADD', key, '*', 'n', ARGV[3], 'd', ARGV[4], 'w', ARGV[5])
while redis.call('XLEN', key) > tonumber(ARGV[2]) do
  local oldest = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  redis.call('HINCRBY', PREFIX .. 'events:lost', ARGV[1], oldest[2][2])
  redis.call('XDEL', key, oldest[1])
end
