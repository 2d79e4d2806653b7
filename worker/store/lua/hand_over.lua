-- How an accepted contact comes to a worker. Reads the arguments of `accept`.

-- Returns the Celery message for this contact. Its template is part of the script, so that no delivery has to bring it.
local function message()
  return args.message or (string.gsub(TEMPLATE, '@(%l+)@', { key = key, id = args.message_id }))
end

-- A new contact goes straight to the queue, unless others are due before it.
local function hand_over()
  if args.is_bulk then return redis.call('ZADD', DUE, BULK * LANE + now, key) end
  -- An error if another program has made the key something else: the contact must be due all the same.
  local waiting = redis.pcall('LLEN', QUEUE)
  local enqueues = type(waiting) == 'number' and waiting < args.queue_bound
      and #redis.call('ZRANGE', DUE, 0, now - 1, 'BYSCORE', 'LIMIT', 0, 1) == 0
  redis.call('ZADD', DUE, NEW * LANE + now + (enqueues and args.grace_ms or 0), key)
  if enqueues then redis.call('LPUSH', QUEUE, message()) end
end
