-- A worker starts, perhaps because the configuration was mended: whatever stopped by itself is probed at once. An operator's
-- pause stays.
--
-- Returns 1, or 0 when nothing was stopped.

return hasten_probes() > 0 and 1 or 0
