"""Published networks, each cut to half of its multiply-adds and judged."""
