-- Count accepted messages of a campaign by their receivers' domains, so that the brake knows its shares.
--
-- receivers:<c>  hash  'a' .. domain += so many; domains beyond the first some thousand are left out
--
-- ARGV: campaign, at most how many fields, then domain, number, …

local key = PREFIX .. 'receivers:' .. ARGV[1]
for i = 3, #ARGV, 2 do
  local field = 'a' .. ARGV[i]
  if redis.call('HLEN', key) < tonumber(ARGV[2]) or redis.call('HEXISTS', key, field) == 1 then
    redis.call('HINCRBY', key, field, ARGV[i + 1])
  end
end
