-- Takes tokens from buckets and places in windows: many requests in one call, all-or-nothing for each of them. (A tally
-- is a window that counts refused requests too.)
--
-- KEYS     the distinct buckets and windows of all requests
-- ARGV[1]  per key three doubles. Of a bucket: burst, units per token, units per microsecond. Of windows: requests, period in
--          microseconds, and 0 for fixed ones, -2^53 for tallies, else minus the microseconds of a step (window.py)
-- ARGV[2]  per request one double, the number of its keys, then for each of them two: index into KEYS, hits
-- returns  doubles: now in microseconds, then per request and key three: fits (0 or 1), what is left, microseconds until
--          full or over (or, where it does not fit, until it would)
--
-- A bucket is stored as four doubles: missing units, when that was true (microseconds), units per token, units per
-- microsecond. Windows are three: taken in the one before, in the current one, when that began. No key is an unused one.
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
  bucket.missing = bucket.missing + hits * bucket.unit
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

local meters = {}
for i, key in ipairs(KEYS) do
  local burst, unit, rate = struct.unpack('<ddd', ARGV[1], (i - 1) * 24 + 1)
  local stored = redis.pcall('GET', key) -- a value of another type is none and must not stop the others
  local kind = rate > 0 and Bucket or Window
  meters[i] = kind.read(type(stored) == 'string' and stored, burst, unit, rate)
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
    local fits = meter.kind.fits(meter, need, hits)
    granted = granted and fits
    wishes[i] = { meter, hits, need, fits }
  end
  for _, wish in ipairs(wishes) do
    local meter, hits, need, fits = wish[1], wish[2], wish[3], wish[4]
    if (granted or meter.tally) and hits > 0 then
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
