-- Finders lead from an e-mail address, a phone number or a contact id to contacts. Each is `<bucket>:<field>`, made of a
-- keyed hash; its value is the contacts' keys, one after the other.

local KEY_LENGTH, MAX_FOUND = 16, 8

local function each_finder(finders, change)
  for bucket, field in string.gmatch(finders or '', '(%d+):(%S+)') do
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

local function add_finders(finders)
  each_finder(finders, function(name, field, others)
    redis.call('HSET', name, field, string.sub(others, -KEY_LENGTH * (MAX_FOUND - 1)) .. key)
  end)
end

-- Stores what is sent for the contact (args.data, fingerprint, notes, finders); `before` are its previous finders. What an
-- operator decided about a conflict is void once the e-mail address or the phone number is another one.
local function store_data(before)
  if before and before ~= args.finders then redis.call('HDEL', RECORD, 'resolution') end
  redis.call('HSET', RECORD, 'data', args.data, 'fingerprint', args.fingerprint)
  if before then remove_finders(before) end
  add_finders(args.finders)
  set('finders', args.finders)
  set('notes', args.notes)
end
