-- Records of earlier versions, which have the full names of the fields in `record.STORED`.

-- Gives the fields of the record the names that they have now. Returns whether they had others. The removal is first: see
-- write_even_when_full.
local function rename_fields()
  if redis.call('HEXISTS', RECORD, 'identifier') == 0 then return false end
  local earlier = { 'identifier', 'fingerprint', 'received_at', 'contact_id', 'attempts', 'state' }
  local present = { FIELD.identifier, FIELD.fingerprint, FIELD.received_at, FIELD.contact_id, FIELD.attempts,
    FIELD.state }
  local values = redis.call('HMGET', RECORD, unpack(earlier))
  redis.call('HDEL', RECORD, unpack(earlier))
  for i, name in ipairs(present) do
    if values[i] then redis.call('HSET', RECORD, name, values[i]) end
  end
  return true
end
