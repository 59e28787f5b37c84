"""What is counted for those who look, so that no page walks through all recipients."""
