-- Takes one delivery: the record, its place in `due` and, while the queue is short, the Celery message; all or nothing.
--
-- ARGV   [3] salt that the key was made with   [4] identifier   [5] source   [6] data (JSON)   [7] fingerprint
--        [8] notes (JSON, '' for none)   [9] Celery message   [10] bound of the queue   [11] grace in ms   [12] finders
--        [13] 'bulk' for the lane behind new contacts and retries, with no message; else ''
--        [14] how many contacts may be open: from there on nothing new is taken
-- Returns {status, state, contact id}: status is 'accepted' (new, or newer data taken) or 'duplicate';
--         or {'full'} when too many are open, or {'salt'} when the salt in Redis is another one: nothing was done.

if redis.call('GET', SALT) ~= ARGV[3] then return { 'salt' } end

local record = redis.call('HMGET', RECORD, 'state', 'fingerprint', 'contact_id', 'newer', 'finders', 'cause')
local state, fingerprint, contact_id, newer = record[1], record[2], record[3] or '', record[4]

local function answer(status, of_state)
  count(status)
  count('delivery:' .. ARGV[5] .. ':' .. status)
  return { status, of_state, contact_id }
end

-- It begins with a write that a full Redis refuses, so that it is refused as a whole.
local function take_delivery()
  redis.call('HSET', RECORD, 'source', ARGV[5])
  take_data(ARGV[6], ARGV[7], ARGV[8], ARGV[12], record[5])
end

-- While others wait for their turn, a new contact waits behind them.
local function make_due()
  if ARGV[13] == 'bulk' then return due_at(BULK, now) end
  local hinted = redis.call('LLEN', QUEUE) < tonumber(ARGV[10])
      and #redis.call('ZRANGE', DUE, 0, string.format('%.0f', now - 1), 'BYSCORE', 'LIMIT', 0, 1) == 0
  due_at(NEW, hinted and now + ARGV[11] or now)
  if hinted then redis.call('LPUSH', QUEUE, ARGV[9]) end
end

local is_new = not state or state == 'conflict' or state == 'failed'
local is_known = fingerprint == ARGV[7] and not newer
if is_new and not is_known and redis.call('ZCARD', DUE) >= tonumber(ARGV[14]) then return { 'full' } end

if not state then
  redis.call('HSET', RECORD, 'identifier', ARGV[4], 'received_at', now)
  take_delivery()
  enter('pending')
  make_due()
  return answer('accepted', 'pending')
end

if is_known then return answer('duplicate', state) end

if is_open(state) then
  take_delivery()
  return answer('accepted', state)
end

if state == 'conflict' or state == 'failed' then
  -- A fresh try with the new data. What we do not know about earlier creates (unknown_since) stays.
  take_delivery()
  forget_cause(record[6])
  redis.call('HDEL', RECORD, 'owner_id', 'closed_at', 'failures', 'repeats', 'spent_ms', 'crashes', 'suspect')
  enter('pending', state)
  make_due()
  return answer('accepted', 'pending')
end

if state == 'created' and newer ~= ARGV[7] then
  -- LiveDesk keeps what it has; the record says that newer data came, and when.
  if fingerprint == ARGV[7] then
    redis.call('HDEL', RECORD, 'newer', 'newer_at')
  else
    redis.call('HSET', RECORD, 'newer', ARGV[7], 'newer_at', now)
  end
end
return answer('duplicate', state)
