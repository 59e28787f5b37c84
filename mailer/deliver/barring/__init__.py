"""Who is put on the suppression list by a server, and who is left out because of it."""
