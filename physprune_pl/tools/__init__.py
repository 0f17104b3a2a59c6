"""Files, progress, randomness, memory, registries: nothing here knows of networks."""
