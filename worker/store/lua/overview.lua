-- Reads the current state in one go: what the overview, the header of every page and /metrics need. It changes nothing.
--
-- states: list of string   whose contacts are counted
-- lanes: list of int       of `due`
-- recent_ms: int           in which failed contacts and conflicts are counted
-- minutes: int             of which what was created is read
-- latest: int              of the latest ones all of `counters` are read
-- counters: list of string
-- size: int                how many open contacts are looked at, the same number of each lane where there are many, to estimate
--                          what is still to be sent; 0 for none
-- Returns {now, upstream, inboxes, clashes, {emptied, since}, {contacts by state}, messages in the queue, when the oldest pending
-- contact arrived, {contacts and lowest score by lane}, {failed, conflicts}, workers, {what was created by minute},
-- {counters of the latest minutes}, sample}. Hashes are {field, value, ...} and `workers` {name, heartbeat, ...}. The sample has
-- for each contact that does not wait for its inbox: its lane, when it may be sent in ms (0 for now), and 1 if a look-up comes
-- first (model.Claim.looks_first), else 0. The latest contact of each lane is always among them.

local function first_score(set, low, high)
  return redis.call('ZRANGE', set, low, high, 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2] or false
end

local function read_lanes()
  local found = {}
  for nth, lane in ipairs(args.lanes) do
    local low, high = string.format('%.0f', lane * LANE), string.format('%.0f', (lane + 1) * LANE - 1)
    local waiting = redis.call('ZCOUNT', DUE, low, high)
    found[nth] = { waiting, waiting > 0 and first_score(DUE, low, high) }
  end
  return found
end

-- Returns contacts and their scores by turns: of each lane one at random out of each of as many parts as there is room for, and
-- the latest of all instead of one out of the last part. What Lua chooses at random is the same in each call.
local function choose(size)
  local waiting, lanes = {}, 0
  for _, lane in ipairs(SWEPT) do
    waiting[lane] = redis.call('ZCOUNT', DUE, string.format('%.0f', lane * LANE), string.format('%.0f', (lane + 1) * LANE - 1))
    if waiting[lane] > 0 then lanes = lanes + 1 end
  end
  local chosen = {}
  for _, lane in ipairs(SWEPT) do
    local number = waiting[lane]
    local first = number > 0 and redis.call('ZCOUNT', DUE, '-inf', string.format('(%.0f', lane * LANE))
    local parts = math.min(number, math.ceil(size / lanes))
    for part = 1, parts do
      local place = part == parts and number - 1 or math.floor((part - math.random()) * number / parts)
      local found = redis.call('ZRANGE', DUE, first + place, first + place, 'WITHSCORES')
      chosen[#chosen + 1], chosen[#chosen + 2] = found[1], found[2]
    end
  end
  return chosen
end

local function sample(size)
  local chosen, found = size > 0 and choose(size) or {}, {}
  for i = 1, #chosen, 2 do
    local record = redis.call('HMGET', PREFIX .. 'c:' .. chosen[i], FIELD.state, 'next_attempt_at', 'unknown_since', 'cause',
      'resolution', FIELD.contact_id, 'deletes')
    local is_taken = not record[6] and not record[7] and string.find(record[4] or '', '_taken$') and record[5] ~= 'without'
    local at = record[1] == 'retrying' and tonumber(record[2] or 0) or 0
    found[#found + 1] = math.floor(chosen[i + 1] / LANE)
    found[#found + 1] = at > now and at or 0
    found[#found + 1] = (not record[6] and record[3] or is_taken) and 1 or 0
  end
  return found
end

local counts, created, counters = {}, {}, {}
for nth, state in ipairs(args.states) do counts[nth] = redis.call('ZCARD', index(state)) end
local minute = math.floor(now / 60000)
for back = 0, args.minutes - 1 do
  local name = minute_key(minute - back)
  if back < args.latest then counters[back + 1] = redis.call('HMGET', name, unpack(args.counters)) end
  created[back + 1] = redis.call('HGET', name, 'created') or 0
end
local ended = {}
for nth, state in ipairs({ 'failed', 'conflict' }) do
  ended[nth] = redis.call('ZCOUNT', index(state), string.format('%.0f', now - args.recent_ms), '+inf')
end
return { now, redis.call('HGETALL', UPSTREAM), redis.call('HGETALL', INBOXES), redis.call('HGETALL', PREFIX .. 'clashes'),
  redis.call('MGET', PREFIX .. 'emptied', PREFIX .. 'since'), counts, redis.call('LLEN', QUEUE),
  first_score(index('pending'), '-inf', '+inf'), read_lanes(), ended,
  redis.call('ZRANGE', PREFIX .. 'workers', 0, -1, 'WITHSCORES'), created, counters, sample(args.size) }
