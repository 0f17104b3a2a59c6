"""Latency as a cost: layers are timed once on the device, and a network's time follows from its widths."""

from physprune_pl.latency.correction import Correction
from physprune_pl.latency.layers import Layer, LayerShape
from physprune_pl.latency.network_latency import NetworkLatency, Rest
from physprune_pl.latency.stopwatch import Stopwatch

__all__ = ["Correction", "Layer", "LayerShape", "NetworkLatency", "Rest", "Stopwatch"]
