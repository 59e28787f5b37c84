"""What lies behind `mailer.store.connection`: addresses, attempts, Sentinel, and what a refusal means."""
