-- Take mailboxes off the suppression list.
--
-- suppressed and what lies beside it: as barring.lua says
--
-- events         stream  += the entry, where somebody was on the list and somebody follows
--
-- ARGV: scope ('': every one), reason ('': whichever), an entry of events about one recipient ('': nothing
--       is told), then fingerprints
-- Returns how many were on it

local removed = 0
for i = 4, #ARGV do
  if unbar(ARGV[i], ARGV[1], ARGV[2]) > 0 then removed = removed + 1 end
end
if removed > 0 and ARGV[3] ~= '' and redis.call('EXISTS', PREFIX .. 'events:consumers') == 1 then
  tell(1, 'e', ARGV[3])
end
return removed
