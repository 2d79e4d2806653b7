-- Takes one delivery: the record, its place in `due` and, while the queue is short, the Celery message; all or nothing.
--
-- ARGV   [3] salt that the key was made with   [4] identifier   [5] source   [6] data (JSON)   [7] fingerprint
--        [8] notes (JSON, '' for none)   [9] Celery message   [10] bound of the queue   [11] grace in ms
--        [12] how many contacts may be open: from there on nothing new is taken
-- Returns {status, state, contact id}: status is 'accepted' (new, or newer data taken) or 'duplicate';
--         or {'full'} when too many are open, or {'salt'} when the salt in Redis is another one: nothing was done.

if redis.call('GET', SALT) ~= ARGV[3] then return { 'salt' } end

local record = redis.call('HMGET', RECORD, 'state', 'fingerprint', 'contact_id', 'newer')
local state, fingerprint, contact_id, newer = record[1], record[2], record[3] or '', record[4]

local function take_data()
  redis.call('HSET', RECORD, 'source', ARGV[5], 'data', ARGV[6], 'fingerprint', ARGV[7])
  if ARGV[8] == '' then redis.call('HDEL', RECORD, 'notes') else redis.call('HSET', RECORD, 'notes', ARGV[8]) end
end

local function make_due()
  local hinted = redis.call('LLEN', QUEUE) < tonumber(ARGV[10])
  due_at(NEW, hinted and now + ARGV[11] or now)
  if hinted then redis.call('LPUSH', QUEUE, ARGV[9]) end
end

local is_new = not state or state == 'conflict' or state == 'failed'
local is_known = fingerprint == ARGV[7] and not newer
if is_new and not is_known and redis.call('ZCARD', DUE) >= tonumber(ARGV[12]) then return { 'full' } end

if not state then
  redis.call('HSET', RECORD, 'identifier', ARGV[4], 'received_at', now)
  take_data()
  enter('pending')
  make_due()
  return { 'accepted', 'pending', '' }
end

if is_known then return { 'duplicate', state, contact_id } end

if is_open(state) then
  take_data()
  return { 'accepted', state, contact_id }
end

if state == 'conflict' or state == 'failed' then
  -- A fresh try with the new data. What we do not know about earlier creates (unknown_since) stays.
  take_data()
  redis.call('HDEL', RECORD, 'cause', 'owner_id', 'closed_at', 'failures', 'repeats', 'spent_ms', 'crashes')
  enter('pending', state)
  make_due()
  return { 'accepted', 'pending', '' }
end

if state == 'created' and newer ~= ARGV[7] then
  -- LiveDesk keeps what it has; the record says that newer data came, and when.
  if fingerprint == ARGV[7] then
    redis.call('HDEL', RECORD, 'newer', 'newer_at')
  else
    redis.call('HSET', RECORD, 'newer', ARGV[7], 'newer_at', now)
  end
end
return { 'duplicate', state, contact_id }
