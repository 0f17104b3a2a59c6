"""What is recorded of the channels, and how it reaches the loggers."""
