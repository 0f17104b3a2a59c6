"""A model of latency is corrected until a network cut by it takes what was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from physprune_pl.latency.network_latency import NetworkLatency

STEP = 0.6
"""Least and, inverted, largest factor of one correction: one cut network tells little about very different ones."""


@dataclass
class Correction:
    """Narrows down the gain of a latency model, between one that cuts too deep and one that cuts too little.

    One cut network tells the gain for cuts like itself; kernels like some widths better than others, so that the
    network chosen next may be off to the other side.

    Attributes:
        asked: share of the dense network's latency.
        too_deep: largest gain so far whose network was faster than asked, or with which nothing was slow enough.
        too_little: smallest gain so far whose network was slower.
    """

    asked: float
    too_deep: float = 0.0
    too_little: float = math.inf

    def corrected(self, times: NetworkLatency, expected: float, measured: float) -> NetworkLatency:
        """Return what follows from one more cut network, given the shares of the dense latency that it has.

        >>> correction, times = Correction(asked=0.5), NetworkLatency((), ())
        >>> deeper = correction.corrected(times, expected=0.5, measured=0.6)
        >>> gentler = correction.corrected(deeper, expected=0.5, measured=0.1)
        >>> deeper.gain, round(gentler.gain, 2)  # 0.8 / 0.6 would be beyond 1
        (0.8, 0.89)
        """
        if measured < self.asked:
            self.too_deep = max(self.too_deep, times.gain)
        else:
            self.too_little = min(self.too_little, times.gain)
        saved = (1.0 - measured) / (1.0 - expected) if expected < 1.0 else 1.0
        return self._between(times, times.gain * min(max(saved, STEP), 1.0 / STEP))

    def out_of_reach(self, times: NetworkLatency) -> NetworkLatency:
        """Return what to try when nothing was chosen: the gain was corrected too far down.

        >>> Correction(asked=0.5, too_little=1.0).out_of_reach(NetworkLatency((), (), gain=0.25)).gain
        0.5
        """
        self.too_deep = max(self.too_deep, times.gain)
        return self._between(times, times.gain)

    def _between(self, times: NetworkLatency, gain: float) -> NetworkLatency:
        closed = 0 < self.too_deep < self.too_little < math.inf
        inside = not closed or self.too_deep < gain < self.too_little
        return replace(times, gain=gain if inside else math.sqrt(self.too_deep * self.too_little))
