-- Who was queued already: a campaign's fingerprints, in about 17 octets a recipient.
--
-- seen:<c>:<bucket>  string  records of 14 octets: fingerprint (8), digest of the row (4), run (2)
-- campaign:<c>       hash    buckets: how many there are
--
-- A small campaign has one bucket, a large one many of about 64 records: they grow one by one, by linear
-- hashing. The n-th new bucket takes about half of an older one's records over; nothing else moves. A bucket
-- stays so short that looking through it costs no more than a hash would, which takes twice the memory.
--
-- Campaigns without `buckets` were begun by an older version: 16,384 hashes of fingerprint → digest and run.

local RECORD, FULL, OLD_BUCKETS = 14, 64, 16384

-- A row's digest as an older version wrote it, and back.
local function number_of(octets)
  local a, b, c, d = string.byte(octets, 1, 4)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

local function octets_of(digest)
  local low = digest % 65536
  local high = (digest - low) / 65536
  return string.char(math.floor(high / 256), high % 256, math.floor(low / 256), low % 256)
end

local function key_of(seen, bucket)
  return PREFIX .. 'seen:' .. seen.campaign .. ':' .. bucket
end

-- So many buckets; *size* is the largest power of two among these.
local function set_buckets(seen, buckets)
  seen.buckets, seen.size = buckets, seen.size or 1
  while seen.size * 2 <= buckets do seen.size = seen.size * 2 end
end

-- What a script works with; *run* is the run of enqueueing that it is about.
local function seen_by(campaign, run)
  local buckets = redis.call('HGET', PREFIX .. 'campaign:' .. campaign, 'buckets')
  local seen = {campaign = campaign, run = run, read = {}, changed = {}}
  seen.mark = string.char(math.floor(run / 256), run % 256)
  set_buckets(seen, tonumber(buckets or '0'))
  return seen
end

-- *at* is where the fingerprint begins in *octets*.
local function bucket_of(seen, octets, at)
  local a, b, c, d = string.byte(octets, at + 4, at + 7)
  local bucket = (((a * 256 + b) * 256 + c) * 256 + d) % (seen.size * 2)
  return bucket < seen.buckets and bucket or bucket - seen.size
end

local function old_key_of(seen, fingerprint)
  local high, low = string.byte(fingerprint, 1, 2)
  return key_of(seen, (high * 256 + low) % OLD_BUCKETS)
end

local function old_value(digest, run)
  return string.format('%.0f', number_of(digest) * 65536 + run)
end

local function records_of(seen, bucket)
  local records = seen.read[bucket]
  if not records then
    records = redis.call('GET', key_of(seen, bucket)) or ''
    seen.read[bucket] = records
  end
  return records
end

-- Digest of the row (4 octets) and run of a recipient, or nil where it is new; then, where it stands.
local function find_seen(seen, fingerprint)
  if seen.buckets == 0 then
    local value = redis.call('HGET', old_key_of(seen, fingerprint), fingerprint)
    if not value then return nil end
    local run = value % 65536
    return octets_of((value - run) / 65536), run
  end
  local bucket = bucket_of(seen, fingerprint, 1)
  local records = records_of(seen, bucket)
  local at = string.find(records, fingerprint, 1, true)
  while at and (at - 1) % RECORD ~= 0 do at = string.find(records, fingerprint, at + 1, true) end
  if not at then return nil end
  local high, low = string.byte(records, at + 12, at + 13)
  return string.sub(records, at + 8, at + 11), high * 256 + low, bucket, at
end

-- The recipient stands in a list of this run, too.
local function mark_seen(seen, fingerprint, digest, bucket, at)
  if seen.buckets == 0 then
    redis.call('HSET', old_key_of(seen, fingerprint), fingerprint, old_value(digest, seen.run))
  else
    redis.call('SETRANGE', key_of(seen, bucket), at + 11, seen.mark)
    seen.read[bucket] = nil
  end
end

local function add_seen(seen, fingerprint, digest)
  if seen.buckets == 0 then
    redis.call('HSET', old_key_of(seen, fingerprint), fingerprint, old_value(digest, seen.run))
    return
  end
  local bucket = bucket_of(seen, fingerprint, 1)
  seen.read[bucket] = records_of(seen, bucket) .. fingerprint .. digest .. seen.mark
  seen.changed[bucket] = true
end

-- Make one bucket more: about half of an older one's records go there.
local function split_seen(seen)
  local from, to = seen.buckets - seen.size, seen.buckets
  local records, stay, move = records_of(seen, from), {}, {}
  set_buckets(seen, seen.buckets + 1)
  for at = 1, string.len(records), RECORD do
    local list = bucket_of(seen, records, at) == to and move or stay
    list[#list + 1] = string.sub(records, at, at + RECORD - 1)
  end
  seen.read[from], seen.read[to] = table.concat(stay), table.concat(move)
  seen.changed[from], seen.changed[to] = true, true
end

-- Write what was added; *total* is how many recipients the campaign has now.
local function write_seen(seen, total)
  if seen.buckets > 0 and total > seen.buckets * FULL then
    while total > seen.buckets * FULL do split_seen(seen) end
    redis.call('HSET', PREFIX .. 'campaign:' .. seen.campaign, 'buckets', seen.buckets)
  end
  -- Anew and not by APPEND, which takes twice the memory so that it may append again.
  for bucket in pairs(seen.changed) do redis.call('SET', key_of(seen, bucket), seen.read[bucket]) end
end
