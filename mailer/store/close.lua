-- End a run of enqueueing: all rows have been read.
--
-- campaign:<c>  hash  enqueued := 1      shared:<c>  hash  removed when nobody needs it any more
--
-- ARGV: campaign

redis.call('HSET', PREFIX .. 'campaign:' .. ARGV[1], 'enqueued', '1')
forget_shared_if_final(ARGV[1])
