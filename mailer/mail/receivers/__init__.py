"""What do receivers ask of a sender, and is it there: judged without a look at the network."""
