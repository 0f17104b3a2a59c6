"""What removing channels while a network trains saves, and what it costs in accuracy."""
