-- Put mailboxes on the suppression list, each for a scope.
--
-- suppressed and what lies beside it: as barring.lua says
--
-- ARGV: for each: fingerprint, mailbox, reason, since, until (0: for good), scope, why (JSON)
-- Returns how many are new

local added = 0
for i = 1, #ARGV, 7 do
  local one = {mailbox = ARGV[i + 1], reason = ARGV[i + 2], since = tonumber(ARGV[i + 3]),
               ends = tonumber(ARGV[i + 4]), scope = ARGV[i + 5], why = ARGV[i + 6]}
  if bar(ARGV[i], one) then added = added + 1 end
end
return added
