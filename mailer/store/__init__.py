"""What Redis knows: the ledger and all that workers and producers share."""
