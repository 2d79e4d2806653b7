-- Whose person has an identifier. A record lists the id spaces that its identifier belongs to; in another one it is the same
-- person where the e-mail address or the phone number agrees, and otherwise a clash. Reads the arguments of `accept`.

local SPACE = args.id_space or args.source

-- Whether these id spaces include the one of this delivery. A record that is older than a common id space has that of a
-- source which has it now.
local function is_among(spaces)
  for space in string.gmatch(spaces, '%S+') do
    if space == SPACE or args.siblings and contains(args.siblings, space) then return true end
  end
  return false
end

-- Whether a stored fingerprint has the e-mail address or the phone number of this delivery: characters 9 to 12 and 13 to 16
-- (fingerprint.POSITIONAL).
local function agrees(stored)
  if not stored then return false end
  for at = 9, 13, 4 do
    local chunk = string.sub(args.fingerprint, at, at + 3)
    if chunk ~= '----' and chunk == string.sub(stored, at, at + 3) then return true end
  end
  return false
end

-- Returns whose a record is: 'own', so that this delivery may change it; 'other', of the same person, whose record only a
-- source of another class or id space may change; or 'clash', of another person. Arguments: fields of the record.
local function owner_of(source, id_space, identity, fingerprint, other)
  local is_own_space = is_among(id_space or source)
  if not (is_own_space or args.same_person or agrees(fingerprint) or agrees(other)) then return 'clash' end
  if args.identity ~= 'visitor' then return 'own' end
  local is_free = identity == 'visitor' and (is_own_space or args.same_person)
  return is_free and 'own' or 'other'
end

-- Records where else the data comes from: the record keeps its id spaces, and an account's source makes it an account's.
local function join_origin(source, id_space, identity)
  local spaces = id_space or source
  if not string.find(' ' .. spaces .. ' ', ' ' .. SPACE .. ' ', 1, true) then spaces = spaces .. ' ' .. SPACE end
  if spaces ~= (id_space or source) or not id_space and source ~= args.source then
    redis.call('HSET', RECORD, 'id_space', spaces)
  end
  if identity and args.identity ~= identity then redis.call('HDEL', RECORD, 'identity') end
end
