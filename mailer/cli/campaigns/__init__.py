"""Commands about campaigns and their messages."""
