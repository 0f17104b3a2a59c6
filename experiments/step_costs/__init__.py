"""What a training step of a pruned network takes."""
