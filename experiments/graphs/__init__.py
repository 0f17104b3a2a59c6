"""Graph attention networks, cut by whole heads."""
