-- Makes a created contact that LiveDesk does not have any more pending again, with the little that is left of it.
--
-- ARGV   [3] contact id under which it is missing   [4] data (JSON)   [5] fingerprint of the data   [6] notes (JSON)
--        [7] finder of the contact id
-- Returns 1, or 0 when the contact is not created under this id (any more): nothing was done.

local record = redis.call('HMGET', RECORD, 'state', 'contact_id', 'attempts_made')
if record[1] ~= 'created' or record[2] ~= ARGV[3] then return 0 end

local created_at = redis.call('ZSCORE', INDEX.created, key)
enter('pending', 'created')
remove_finders(ARGV[7])
redis.call('HDEL', RECORD, 'contact_id', 'outcome', 'newer', 'newer_at')
-- A create was sent long ago, and what became of it is not known any more: so it is looked up before another is sent.
redis.call('HSET', RECORD, 'data', ARGV[4], 'fingerprint', ARGV[5], 'notes', ARGV[6], 'unknown_since', created_at,
  'attempts_made', record[3] or 1)
due_at(BULK, now)
return 1
