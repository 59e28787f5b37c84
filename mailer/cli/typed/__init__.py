"""What people type: times, addresses, values that can never be right."""
