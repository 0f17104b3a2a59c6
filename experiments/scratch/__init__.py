"""What the shape of a pruned network is worth without the training that found it."""
