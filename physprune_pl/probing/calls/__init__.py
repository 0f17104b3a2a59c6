"""Somebody's own program around a network: its calls, recorded and made again."""
