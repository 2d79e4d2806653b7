-- The shares of the quarantine, and how an entry leaves it.
--
-- A source has one share for deliveries without a usable contact, "<source>", and one for its clashes with each other
-- source, "<source>:<other>". An entry that an earlier version stored belongs to none, and counts in none.

local ENTRIES, SHARES = PREFIX .. 'quarantine', PREFIX .. 'quarantine_bytes'

local function entry_key(entry)
  return PREFIX .. 'q:' .. entry
end

local function share_key(share)
  return PREFIX .. 'quarantine:' .. share
end

-- Removes an entry, and what it counts in.
local function remove_entry(entry)
  local kept = redis.call('HMGET', entry_key(entry), 'share', 'size')
  redis.call('ZREM', ENTRIES, entry)
  if kept[1] then
    redis.call('ZREM', share_key(kept[1]), entry)
    if redis.call('HINCRBY', SHARES, kept[1], '-' .. kept[2]) < 1 then redis.call('HDEL', SHARES, kept[1]) end
  end
  leave_clash(entry_key(entry))
  redis.call('DEL', entry_key(entry))
end
