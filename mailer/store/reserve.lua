-- Tell of each recipient whether it is new to the campaign, without queueing it.
--
-- seen:<c>:<bucket>        the run of known fingerprints is set to this run, so that a second row
--                          of this run shows as a duplicate
-- suppressed         hash  read, as barring.lua says
--
-- ARGV: campaign, run (0: only look), fingerprints (8 octets each), digests (4 octets each), now,
--       which kind of mail the campaign sends
-- Returns one letter each: n new, d duplicate in this run, k known from an earlier run, c known with
-- another digest (the row changed), s suppressed

local campaign, run = ARGV[1], tonumber(ARGV[2])
local fingerprints, digests = ARGV[3], ARGV[4]
local any_suppressed = redis.call('EXISTS', PREFIX .. 'suppressed') == 1
local answers, seen = {}, seen_by(campaign, run)
for i = 0, string.len(digests) / 4 - 1 do
  local fingerprint = string.sub(fingerprints, i * 8 + 1, i * 8 + 8)
  local digest, its_run, bucket, at = find_seen(seen, fingerprint)
  local answer = 'n'
  if digest then
    if run ~= 0 and its_run == run then
      answer = 'd'
    else
      answer = digest == string.sub(digests, i * 4 + 1, i * 4 + 4) and 'k' or 'c'
      if run ~= 0 then mark_seen(seen, fingerprint, digest, bucket, at) end
    end
  elseif any_suppressed and barred(fingerprint, ARGV[6], ARGV[5]) then
    answer = 's'
  end
  answers[#answers + 1] = answer
end
return table.concat(answers)
