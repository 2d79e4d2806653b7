-- Reads open contacts, at random where there are many, to estimate what is still to be sent. It changes nothing.
--
-- size: int    how many at most
-- Returns for each contact, except those that wait for their inbox: its lane, when it may be sent in ms (0 for now), and 1 if
-- a look-up comes first (model.Claim.looks_first), else 0. The latest contact of each lane is always among them.

local chosen, seen = redis.call('ZRANDMEMBER', DUE, args.size), {}
for _, lane in ipairs(SWEPT) do
  local base = lane * LANE
  local latest = redis.call('ZRANGE', DUE, string.format('%.0f', base + LANE - 1), string.format('%.0f', base), 'BYSCORE', 'REV',
    'LIMIT', 0, 1)
  chosen[#chosen + 1] = latest[1]
end

local found = {}
for _, contact in ipairs(chosen) do
  if not seen[contact] then
    seen[contact] = true
    local score = tonumber(redis.call('ZSCORE', DUE, contact))
    local record = redis.call('HMGET', PREFIX .. 'c:' .. contact, 'state', 'next_attempt_at', 'unknown_since', 'cause',
      'resolution', 'contact_id', 'deletes')
    local lane = math.floor(score / LANE)
    if lane ~= HELD then
      local is_taken = not record[6] and not record[7] and string.find(record[4] or '', '_taken$') and record[5] ~= 'without'
      local at = record[1] == 'retrying' and tonumber(record[2] or 0) or 0
      found[#found + 1] = lane
      found[#found + 1] = at > now and string.format('%.0f', at) or '0'
      found[#found + 1] = (not record[6] and record[3] or is_taken) and 1 or 0
    end
  end
end
return found
