"""How long a convolution takes by its number of channels, in four runtimes."""
