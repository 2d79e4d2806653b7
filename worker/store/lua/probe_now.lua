-- include: upstream, breaker
-- Makes the next probe due now wherever the sync stopped by itself: a worker starts, perhaps because the configuration was
-- fixed. An operator's pause stays.
--
-- Returns 1, or 0 when nothing was stopped.

return hasten_probes() > 0 and 1 or 0
