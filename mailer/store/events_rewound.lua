-- A consumer knows of entries that Redis does not: it was restored from a backup. Say so, and let none that is
-- to come stand before these, where the clock of Redis is behind: the later of two events has the higher id.
--
-- events          stream  its last id := the given one, unless it is higher already
-- events:rewound  hash    consumer := what is said (JSON)
--
-- ARGV: consumer, what is said, id of the last entry that the consumer knows of

local stream = PREFIX .. 'events'
if type(redis.pcall('XADD', stream, ARGV[3], 'n', 0)) == 'string' then redis.call('XDEL', stream, ARGV[3]) end
redis.call('HSET', PREFIX .. 'events:rewound', ARGV[1], ARGV[2])
