-- How an accepted contact comes to a worker. Reads the arguments of `accept`.

-- A new contact goes straight to the queue, unless others are due before it.
local function hand_over()
  if args.is_bulk then return due_at(BULK, now) end
  -- An error if another program has made the key something else: the contact must be due all the same.
  local waiting = redis.pcall('LLEN', QUEUE)
  local enqueues = type(waiting) == 'number' and waiting < args.queue_bound
      and #redis.call('ZRANGE', DUE, 0, string.format('%.0f', now - 1), 'BYSCORE', 'LIMIT', 0, 1) == 0
  due_at(NEW, enqueues and now + args.grace_ms or now)
  if enqueues then redis.call('LPUSH', QUEUE, args.message) end
end
