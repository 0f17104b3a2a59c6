"""Whether a cut network computes what the masked dense one computes."""
