"""Force laws on a transformer encoder for sentences."""
