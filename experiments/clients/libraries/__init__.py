"""One file per library: the module that it builds, data for it, and what is particular about it."""
