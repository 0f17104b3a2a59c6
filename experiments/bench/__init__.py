"""What the studies share: arms, seeds, comparisons, stored results."""
