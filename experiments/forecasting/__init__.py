"""Forecasts of a small network instead of a large one."""
