"""Other pruning programs on the same network, data, epochs and target, each as its own documentation shows."""
