-- Tell of each recipient whether it is new to the campaign, without queueing it.
--
-- seen:<c>:<bucket>  hash  the run of known fingerprints is set to this run, so that a second row
--                          of this run shows as a duplicate
-- suppressed         hash  read
--
-- ARGV: campaign, run (0: only look), fingerprints (8 octets each), digests (4 octets each)
-- Returns one letter each: n new, d duplicate in this run, k known from an earlier run, c known with
-- another digest (the row changed), s suppressed

local campaign, run = ARGV[1], tonumber(ARGV[2])
local fingerprints, digests = ARGV[3], ARGV[4]
local any_suppressed = redis.call('EXISTS', PREFIX .. 'suppressed') == 1
local answers = {}
for i = 0, string.len(digests) / 4 - 1 do
  local fingerprint = string.sub(fingerprints, i * 8 + 1, i * 8 + 8)
  local high, low = string.byte(fingerprint, 1, 2)
  local key = PREFIX .. 'seen:' .. campaign .. ':' .. ((high * 256 + low) % 16384)
  local seen = redis.call('HGET', key, fingerprint)
  local answer = 'n'
  if seen then
    local a, b, c, d = string.byte(digests, i * 4 + 1, i * 4 + 4)
    local digest = ((a * 256 + b) * 256 + c) * 256 + d
    local seen_run = seen % 65536
    local seen_digest = (seen - seen_run) / 65536
    if run ~= 0 and seen_run == run then
      answer = 'd'
    else
      answer = 'k'
      if seen_digest ~= digest then answer = 'c' end
      if run ~= 0 then
        redis.call('HSET', key, fingerprint, string.format('%.0f', seen_digest * 65536 + run))
      end
    end
  elseif any_suppressed and redis.call('HEXISTS', PREFIX .. 'suppressed', fingerprint) == 1 then
    answer = 's'
  end
  answers[#answers + 1] = answer
end
return table.concat(answers)
