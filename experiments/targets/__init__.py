"""How the laws compare from mild to strong compression."""
