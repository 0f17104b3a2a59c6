"""Where the entries of all tensors of a model go, asked in as few runs as that takes."""
