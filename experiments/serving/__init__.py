"""How fast pruned encoders of sentences are where they are used."""
