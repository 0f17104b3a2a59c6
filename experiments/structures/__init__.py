"""Which structures and traps are pruned correctly, and which are not pruned."""
