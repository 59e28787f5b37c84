-- Take mailboxes off the suppression list.
--
-- suppressed and what lies beside it: as barring.lua says
--
-- ARGV: scope ('': every one), reason ('': whichever), then fingerprints
-- Returns how many were on it

local removed = 0
for i = 3, #ARGV do
  if unbar(ARGV[i], ARGV[1], ARGV[2]) > 0 then removed = removed + 1 end
end
return removed
