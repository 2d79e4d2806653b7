-- Finders lead from an e-mail address, a phone number or a contact id to contacts. Each is `<bucket>:<field>`, made of a
-- keyed hash; its value is the contacts' keys, one after the other. Several finders follow each other; earlier versions stored
-- a space between them.

local KEY_LENGTH, MAX_FOUND = 16, 8
local FINDER = '(%d+):(%S%S%S%S%S%S%S%S)'

local function each_finder(finders, change)
  for bucket, field in string.gmatch(finders or '', FINDER) do
    local name = PREFIX .. 'f:' .. bucket
    local found = redis.call('HGET', name, field) or ''
    local others = ''
    for i = 1, #found, KEY_LENGTH do
      local other = string.sub(found, i, i + KEY_LENGTH - 1)
      if other ~= key then others = others .. other end
    end
    change(name, field, others)
  end
end

local function remove_finders(finders)
  each_finder(finders, function(name, field, others)
    if others == '' then redis.call('HDEL', name, field) else redis.call('HSET', name, field, others) end
  end)
end

-- Most finders are new.
local function add_finders(finders)
  for bucket, field in string.gmatch(finders or '', FINDER) do
    local name = PREFIX .. 'f:' .. bucket
    if redis.call('HSETNX', name, field, key) == 0 then
      local others = string.gsub(redis.call('HGET', name, field), string.rep('.', KEY_LENGTH), { [key] = '' })
      redis.call('HSET', name, field, string.sub(others, -KEY_LENGTH * (MAX_FOUND - 1)) .. key)
    end
  end
end
