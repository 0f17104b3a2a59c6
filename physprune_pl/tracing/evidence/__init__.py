"""What probing found out, and the groups of channels that it makes."""
