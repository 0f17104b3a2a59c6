"""One watched run of a network: which channels reach which slots of which weights."""
