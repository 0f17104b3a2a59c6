"""Where channels go, and what keeps them together on the way: sums, heads, norms."""
