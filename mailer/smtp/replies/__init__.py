"""What replies mean: for the account and the message that heard them, and in a bounce."""
