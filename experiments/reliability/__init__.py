"""What happens to a fit that is killed, resumed, or run again and again: kills, soak, and the costs at scale."""
