"""Which channels to remove: those of least strength, those of the law, or those that the loss misses least."""
