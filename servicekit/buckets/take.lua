-- Takes tokens from buckets, places in windows and leases of requests in flight: many requests in one call, all-or-nothing for each of them. (A tally
-- is a window that counts refused requests too.)
--
-- KEYS     the distinct buckets and windows of all requests
-- ARGV[1]  per key three doubles. Of a bucket: burst, units per token, units per microsecond. Of windows: requests, period in
--          microseconds, and 0 for fixed ones, -2^53 for tallies, else minus the microseconds of a step (window.py). Of
--          leases: how many, microseconds of one, -2^52 (leases.py)
-- ARGV[2]  per request one double, the number of its keys, then for each of them two: index into KEYS, hits. Hits below 0
--          are used up already: they are taken as far as they are there, whatever the others say. Of leases hits are the
--          number of one that is taken; below 0, of one that is given back
-- returns  doubles: now in microseconds, then per request and key three: fits (0 or 1), what is left, microseconds until
--          full or over (or, where it does not fit, until it would)
--
-- A bucket is stored as four doubles: missing units, when that was true (microseconds), units per token, units per
-- microsecond. Windows are three: taken in the one before, in the current one, when that began. Leases are a sorted set of
-- their numbers by when they end. No key is an unused one.
-- All numbers are whole and below 2^53, so doubles hold them exactly.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local Bucket = {}

function Bucket.read(stored, burst, unit, rate)
  local bucket = { kind = Bucket, burst = burst, unit = unit, rate = rate, capacity = burst * unit, missing = 0 }
  if stored and #stored == 32 then
    local missing, at, old_unit, old_rate = struct.unpack('<dddd', stored)
    if at < now then
      missing = math.max(0, missing - (now - at) * old_rate)
    end
    if old_unit ~= unit then -- the limit was changed: tokens taken stay taken
      missing = math.ceil(missing / old_unit * unit)
    end
    bucket.missing = math.min(missing, bucket.capacity)
    bucket.changed = at > now -- a clock that was set back must not freeze the bucket until it has caught up
  end
  return bucket
end

function Bucket.fits(bucket, need)
  return bucket.missing + need * bucket.unit <= bucket.capacity
end

function Bucket.take(bucket, hits)
  bucket.missing = math.min(bucket.missing + hits * bucket.unit, bucket.capacity)
end

function Bucket.left(bucket)
  return math.floor((bucket.capacity - bucket.missing) / bucket.unit)
end

function Bucket.reset(bucket)
  return math.ceil(bucket.missing / bucket.rate)
end

function Bucket.wait(bucket, need)
  return math.ceil((bucket.missing + math.min(need, bucket.burst) * bucket.unit - bucket.capacity) / bucket.rate)
end

function Bucket.stored(bucket)
  return bucket.missing > 0 and struct.pack('<dddd', bucket.missing, now, bucket.unit, bucket.rate)
end

local Window = {}
local TALLY = -9007199254740992

function Window.read(stored, burst, period, slide)
  local start = now - math.fmod(now, period)
  local window = { kind = Window, burst = burst, period = period, step = 0, before = 0, current = 0, start = start }
  window.over = start + period - now
  window.tally = slide == TALLY
  window.most = window.tally and burst + 1 or burst -- of an overshoot a tally keeps only that there was one
  local slides = slide < 0 and not window.tally
  if slides then
    window.step = -slide
    window.steps, window.steps_left = math.ceil(period / window.step), math.ceil(window.over / window.step)
  end
  if stored and #stored == 24 then
    local before, current, began = struct.unpack('<ddd', stored)
    if began >= start then -- later than that only if the clock was set back, which must not freeze the window
      window.before, window.current, window.changed = math.min(before, burst), math.min(current, window.most), began > start
    elseif began >= start - period and slides then
      window.before = math.min(current, burst)
    end
  end
  return window
end

function Window.fits(window, need, hits)
  if window.tally then
    return window.current + hits <= window.burst
  end
  local free = window.burst - window.current - need
  return free >= 0 and (window.before == 0 or window.before * window.steps_left <= free * window.steps)
end

function Window.take(window, hits)
  window.current = math.min(window.current + hits, window.most)
end

function Window.left(window)
  local weighed = window.before == 0 and 0 or math.ceil(window.before * window.steps_left / window.steps)
  return math.max(0, window.burst - window.current - weighed)
end

function Window.reset(window)
  if window.step == 0 or (window.before > 0 and window.current == 0) then
    return window.over
  end
  return window.current > 0 and window.over + window.period or 0
end

local function until_weighed(window, before, free, left)
  return before == 0 and 0 or math.max(0, left - math.floor(free * window.steps / before) * window.step)
end

function Window.wait(window, need)
  if window.step == 0 or need > window.burst then
    return Window.reset(window)
  end
  local free = window.burst - window.current - need
  if free >= 0 then
    return until_weighed(window, window.before, free, window.over)
  end
  return window.over + until_weighed(window, window.current, window.burst - need, window.period)
end

function Window.stored(window)
  return window.before + window.current > 0 and struct.pack('<ddd', window.before, window.current, window.start)
end

Bucket.charge, Window.charge = Bucket.take, Window.take

local Leases = {}
local LEASES, NEIGHBOURS = -4503599627370496, 64

local function member(number)
  return string.format('%.0f', number)
end

function Leases.open(key, burst, lease)
  local ended = redis.pcall('ZREMRANGEBYSCORE', key, '-inf', now)
  if type(ended) == 'table' then -- a value of another type
    redis.call('DEL', key)
  end
  return { kind = Leases, key = key, burst = burst, lease = lease, held = redis.call('ZCARD', key) }
end

function Leases.fits(leases)
  return leases.held < leases.burst
end

function Leases.take(leases, number)
  for neighbour = number, number + NEIGHBOURS - 1 do
    if redis.call('ZADD', leases.key, 'NX', now + leases.lease, member(neighbour)) == 1 then
      leases.held = leases.held + 1
      redis.call('PEXPIRE', leases.key, math.ceil(leases.lease / 1000))
      return
    end
  end
end

function Leases.charge(leases, number)
  for neighbour = number + NEIGHBOURS - 1, number, -1 do
    if redis.call('ZREM', leases.key, member(neighbour)) == 1 then
      leases.held = leases.held - 1
      return
    end
  end
end

function Leases.left(leases)
  return math.max(0, leases.burst - leases.held)
end

function Leases.reset(leases)
  return leases.held > 0 and leases.lease or 0
end

function Leases.wait()
  return 1000000 -- nobody knows when a request will be over
end

function Leases.stored()
  return false
end

local meters = {}
for i, key in ipairs(KEYS) do
  local burst, unit, rate = struct.unpack('<ddd', ARGV[1], (i - 1) * 24 + 1)
  if rate == LEASES then
    meters[i] = Leases.open(key, burst, unit)
  else
    local stored = redis.pcall('GET', key) -- a value of another type is none and must not stop the others
    local kind = rate > 0 and Bucket or Window
    meters[i] = kind.read(type(stored) == 'string' and stored, burst, unit, rate)
  end
end

local requests, reply, position = ARGV[2], { struct.pack('<d', now) }, 1
while position <= #requests do
  local count
  count, position = struct.unpack('<d', requests, position)
  local wishes, granted = {}, true
  for i = 1, count do
    local index, hits
    index, hits, position = struct.unpack('<dd', requests, position)
    local meter = meters[index]
    local need = math.max(hits, 1)
    local fits = hits < 0 or meter.kind.fits(meter, need, hits)
    granted = granted and fits
    wishes[i] = { meter, hits, need, fits }
  end
  for _, wish in ipairs(wishes) do
    local meter, hits, need, fits = wish[1], wish[2], wish[3], wish[4]
    if hits < 0 then
      meter.kind.charge(meter, -hits)
      meter.changed = true
    elseif hits > 0 and (granted or meter.tally) then
      meter.kind.take(meter, hits)
      meter.changed = true
    end
    reply[#reply + 1] = struct.pack('<ddd', fits and 1 or 0, meter.kind.left(meter),
      fits and meter.kind.reset(meter) or meter.kind.wait(meter, need))
  end
end

for i, meter in ipairs(meters) do
  local value = meter.changed and meter.kind.stored(meter)
  if value then
    local until_unused = math.ceil(meter.kind.reset(meter) / 1000)
    redis.call('SET', KEYS[i], value, 'PX', until_unused)
  end
end
return table.concat(reply)
