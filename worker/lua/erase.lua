-- Forgets a person: the record, and its places in `due` and in the index of its state. Nothing else names it.
--
-- Returns {'erased', contact id or '', 1 if a create was sent and nobody knows what became of it, else 0},
--         or {reason}: 'gone' (no such record), 'busy' (an attempt is running): nothing was done.

local record = redis.call('HMGET', RECORD, 'state', 'lease_until', 'contact_id', 'late_id', 'unknown_since')
local state = record[1]
if not state then return { 'gone' } end
if state == 'sending' and tonumber(record[2]) > now then return { 'busy' } end

redis.call('ZREM', DUE, key)
redis.call('ZREM', INDEX[state], key)
redis.call('DEL', RECORD)
local is_unknown = state == 'sending' or (record[5] and state ~= 'created')
return { 'erased', record[3] or record[4] or '', is_unknown and 1 or 0 }
