-- Forgets a person: the record, and its places in `due`, in the indexes and among the finders.
--
-- ARGV   [3] finder of the contact id ('' for none)
-- Returns {'erased', contact id or '', 1 if a create was sent and nobody knows what became of it, else 0},
--         or {reason}: 'gone' (no such record), 'busy' (an attempt is running): nothing was done.

local record = redis.call('HMGET', RECORD, 'state', 'lease_until', 'contact_id', 'late_id', 'unknown_since', 'cause',
  'finders', 'operation')
local state = record[1]
if not state then return { 'gone' } end
if state == 'sending' and tonumber(record[2]) > now then return { 'busy' } end

redis.call('ZREM', DUE, key)
redis.call('ZREM', INDEX[state], key)
forget_cause(record[6])
remove_finders(record[7])
remove_finders(ARGV[3])
leave_operation(record[8], 'left')
redis.call('SREM', FAILING, key)
redis.call('DEL', RECORD)
local is_unknown = state == 'sending' or (record[5] and state ~= 'created')
return { 'erased', record[3] or record[4] or '', is_unknown and 1 or 0 }
