"""Configs of the transformers library: what they say about sizes, how they follow a cut, folders that load again."""
