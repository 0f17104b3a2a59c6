"""The goals of speed with the figures beside them."""
