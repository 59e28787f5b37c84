-- End a run of enqueueing: all rows have been read.
--
-- campaign:<c>  hash  enqueued := 1      shared:<c>  hash  removed when nobody needs it any more
-- status:<c>, order:<c>  strings  written anew, to the octet
--
-- ARGV: campaign

redis.call('HSET', PREFIX .. 'campaign:' .. ARGV[1], 'enqueued', '1')
-- Appending takes up to twice the memory, so that it may go on. Beyond a megabyte it is little.
for _, kind in ipairs({'status:', 'order:'}) do
  local key = PREFIX .. kind .. ARGV[1]
  local length = redis.call('STRLEN', key)
  if length > 0 and length < 4194304 then redis.call('SET', key, redis.call('GET', key)) end
end
forget_shared_if_final(ARGV[1])
