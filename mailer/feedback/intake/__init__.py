"""The ways by which what comes back comes in: files, folders, mailboxes."""
