"""Whether what removed channels emit is worth folding into biases and running means."""
