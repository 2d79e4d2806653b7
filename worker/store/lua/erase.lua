-- include: finders, aliases, causes, earlier, lifecycle
-- Deletes a person: the record, its places in `due`, in the indexes and among the finders, and what operations keep of it.
--
-- contact_id: string or nil       the contact's id in LiveDesk, as the caller knows it
-- contact_finder: string or nil   the finder of that id
-- Returns {'erased', contact id or '', 1 if a create was sent and nobody knows its answer, else 0}; or {'gone'} (no such
-- record), {'busy'} (an attempt is running), or {'changed', contact id}: that is the id now. Then nothing was done.

local record = redis.call('HMGET', RECORD, FIELD.state, 'lease_until', FIELD.contact_id, 'late_id', 'unknown_since', 'cause',
  'finders', 'operation')
local state, contact_id = record[1], record[3]
if not state then return { 'gone' } end
if state == 'sending' and tonumber(record[2]) > now then return { 'busy' } end
if contact_id and contact_id ~= args.contact_id then return { 'changed', contact_id } end

redis.call('ZREM', DUE, key)
redis.call('ZREM', index(state), key)
forget_cause(record[6])
remove_finders(record[7])
if contact_id then unlink(contact_id, args.contact_finder) end
leave_operation(record[8], 'left')
forget_copy()
redis.call('SREM', FAILING, key)
redis.call('DEL', RECORD)
local is_unknown = state == 'sending' or (record[5] and state ~= 'created')
return { 'erased', contact_id or record[4] or '', is_unknown and 1 or 0 }
