"""How the kinds of lists are read, each row by row."""
