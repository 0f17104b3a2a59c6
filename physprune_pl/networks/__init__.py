"""Somebody's network: how to run it without leaving a mark, name its tensors, count what it costs."""
