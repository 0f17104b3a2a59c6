"""A network made ready to be watched."""
