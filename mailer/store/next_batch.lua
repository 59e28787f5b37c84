-- Allot the ref of a campaign's next batch. As a script, so that all replicas know of it (reach/direct.py): a
-- number that was given twice would be two batches, and the second would pass for written down.
--
-- campaign:<c>  hash  batches += 1
--
-- ARGV: campaign
-- Returns the ref

return next_ref(ARGV[1])
