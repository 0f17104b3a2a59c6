"""Calls that mix channels with a weight, and what their weights are made of."""
