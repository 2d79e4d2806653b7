-- Records that lead to the same contact in LiveDesk are aliases of one person. The finder of a contact id names the record
-- whose identifier LiveDesk has; a set names all records, where there are two or more. Needs: finders.

local function aliases_of(contact_id)
  return PREFIX .. 'aliases:' .. contact_id
end

-- Links the record to its contact in LiveDesk. Unless it is only `known` there, the records before it become so.
local function link(contact_id, contact_finder, outcome)
  each_finder(contact_finder, function(name, field, others)
    local aliases = aliases_of(contact_id)
    if others ~= '' or redis.call('EXISTS', aliases) == 1 then redis.call('SADD', aliases, key) end
    if others == '' then redis.call('HSET', name, field, key) end
    for at = 1, #others, KEY_LENGTH do
      local other = string.sub(others, at, at + KEY_LENGTH - 1)
      redis.call('SADD', aliases, other)
      if outcome ~= 'known' then redis.call('HSET', PREFIX .. 'c:' .. other, 'outcome', 'known') end
    end
    if outcome ~= 'known' then redis.call('HSET', name, field, key) end
  end)
end

local function unlink(contact_id, contact_finder)
  remove_finders(contact_finder)
  redis.call('SREM', aliases_of(contact_id), key)
end
