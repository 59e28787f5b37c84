"""What goes to whom: from rows to queued batches."""
