"""Published networks, each cut to half of its MACs and judged."""
