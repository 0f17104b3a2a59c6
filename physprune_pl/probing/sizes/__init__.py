"""Axes, and the sizes of axes that code remembers or reads."""
