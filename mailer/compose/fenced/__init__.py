"""Templates that are not trusted run in a process of their own, bounded in time and memory: the fence."""
