-- Takes tokens from buckets: many requests in one call, all-or-nothing for each of them.
--
-- KEYS     the distinct buckets of all requests
-- ARGV[1]  per key three doubles: burst, units per token, units per microsecond
-- ARGV[2]  per request one double, the number of its buckets, then for each of them two: index into KEYS, hits
-- returns  doubles: now in microseconds, then per request and bucket three: fits (0 or 1), tokens left, microseconds
--          until full (or, where it does not fit, until it would)
--
-- A bucket is stored as four doubles: missing units, when that was true (microseconds), units per token, units per
-- microsecond. No key is a full bucket. All numbers are whole and below 2^53, so doubles hold them exactly.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function missing_now(stored, unit)
  local missing, at, old_unit, old_rate = struct.unpack('<dddd', stored)
  if at < now then
    missing = math.max(0, missing - (now - at) * old_rate)
  end
  if old_unit ~= unit then -- the limit was changed: tokens taken stay taken
    missing = math.ceil(missing / old_unit * unit)
  end
  return missing, at > now -- a clock that was set back must not freeze the bucket until it has caught up
end

local buckets = {}
for i, key in ipairs(KEYS) do
  local burst, unit, rate = struct.unpack('<ddd', ARGV[1], (i - 1) * 24 + 1)
  local bucket = { burst = burst, unit = unit, rate = rate, capacity = burst * unit, missing = 0, changed = false }
  local stored = redis.pcall('GET', key) -- a value of another type is no bucket and must not stop the others
  if type(stored) == 'string' and #stored == 32 then
    local missing, from_the_future = missing_now(stored, unit)
    bucket.missing, bucket.changed = math.min(missing, bucket.capacity), from_the_future
  end
  buckets[i] = bucket
end

local requests, reply, position = ARGV[2], { struct.pack('<d', now) }, 1
while position <= #requests do
  local count
  count, position = struct.unpack('<d', requests, position)
  local wishes, granted = {}, true
  for i = 1, count do
    local index, hits
    index, hits, position = struct.unpack('<dd', requests, position)
    local bucket = buckets[index]
    local fits = bucket.missing + math.max(hits, 1) * bucket.unit <= bucket.capacity
    granted = granted and fits
    wishes[i] = { bucket, hits, fits }
  end
  for _, wish in ipairs(wishes) do
    local bucket, hits, fits = wish[1], wish[2], wish[3]
    if granted and hits > 0 then
      bucket.missing, bucket.changed = bucket.missing + hits * bucket.unit, true
    end
    local wait = bucket.missing
    if not fits then
      wait = bucket.missing + math.min(math.max(hits, 1), bucket.burst) * bucket.unit - bucket.capacity
    end
    reply[#reply + 1] = struct.pack('<ddd', fits and 1 or 0,
      math.floor((bucket.capacity - bucket.missing) / bucket.unit), math.ceil(wait / bucket.rate))
  end
end

for i, bucket in ipairs(buckets) do
  if bucket.changed and bucket.missing > 0 then
    local until_full = math.ceil(bucket.missing / bucket.rate / 1000)
    redis.call('SET', KEYS[i], struct.pack('<dddd', bucket.missing, now, bucket.unit, bucket.rate), 'PX', until_full)
  end
end
return table.concat(reply)
