-- Records that lead to the same contact in LiveDesk are aliases of one person. The finder of a contact id names the record
-- whose identifier LiveDesk has; a set names all records, where there are two or more. Needs: finders.

local function aliases_of(contact_id)
  return PREFIX .. 'aliases:' .. contact_id
end

-- Whether the contact has an account's identifier, and this record is a visitor's. The two attempts may have run at the same
-- time, and the account's ended first: LiveDesk's contact was promoted.
local function is_promoted(others)
  if others == '' or redis.call('HGET', RECORD, 'identity') ~= 'visitor' then return false end
  for at = 1, #others, KEY_LENGTH do
    local other = redis.call('HMGET', PREFIX .. 'c:' .. string.sub(others, at, at + KEY_LENGTH - 1), 'identity', 'outcome')
    if not other[1] and other[2] ~= 'known' then return true end
  end
  return false
end

-- Links the record to its contact in LiveDesk. Unless it is only `known` there, the records before it become so.
local function link(contact_id, contact_finder, outcome)
  each_finder(contact_finder, function(name, field, others)
    if outcome ~= 'known' and is_promoted(others) then
      outcome = 'known'
      redis.call('HSET', RECORD, 'outcome', outcome)
    end
    local aliases = aliases_of(contact_id)
    if others ~= '' or redis.call('EXISTS', aliases) == 1 then redis.call('SADD', aliases, key) end
    if others == '' then redis.call('HSET', name, field, key) end
    for at = 1, #others, KEY_LENGTH do
      local other = string.sub(others, at, at + KEY_LENGTH - 1)
      local states = redis.call('HMGET', PREFIX .. 'c:' .. other, FIELD.state, 'state') -- see earlier.lua
      local is_tombstone = (states[1] or states[2]) == 'deleted'
      if outcome ~= 'known' and is_tombstone then
        -- The contact is this record's now: the other one only says that its person was deleted.
        redis.call('HDEL', PREFIX .. 'c:' .. other, FIELD.contact_id, 'contact_id', 'outcome')
        redis.call('SREM', aliases, other)
      else
        redis.call('SADD', aliases, other)
        if outcome ~= 'known' then redis.call('HSET', PREFIX .. 'c:' .. other, 'outcome', 'known') end
      end
    end
    if outcome ~= 'known' then redis.call('HSET', name, field, key) end
  end)
end

local function unlink(contact_id, contact_finder)
  remove_finders(contact_finder)
  redis.call('SREM', aliases_of(contact_id), key)
end

-- Deletes what the contact was before an operation made it `known`. Undoing the operation then leaves the contact alone.
local function forget_copy()
  local operation = redis.call('HGET', RECORD, 'undo')
  if not operation then return end
  redis.call('HDEL', PREFIX .. 'op:' .. operation .. ':saved', key)
  redis.call('DEL', PREFIX .. 'was:' .. key)
  redis.call('HDEL', RECORD, 'undo')
end
