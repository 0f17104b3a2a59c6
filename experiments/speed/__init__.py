"""What the force costs: time added to a training step, and the penalty alone beside others."""
