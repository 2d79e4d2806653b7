-- Removes one created contact whose time is over.
--
-- ARGV   [3] keep in ms   [4] finders of the contact
-- Returns 1, or 0 when the contact is not created or not old enough.

local created_at = redis.call('ZSCORE', INDEX.created, key)
if not created_at or tonumber(created_at) > now - ARGV[3] then return 0 end
redis.call('ZREM', INDEX.created, key)
remove_finders(ARGV[4])
redis.call('DEL', RECORD)
return 1
