"""Gravity as printed on ResNet-56, in miniature."""
