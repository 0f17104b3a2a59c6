"""Groups that the trace found but that this fit must leave whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import nn

from physprune_pl.channels import ChannelGroup, LeftWhole
from physprune_pl.tracing_types import Trace

Reasons = Mapping[str, str]


def without(trace: Trace, reasons: Reasons) -> Trace:
    """Return the trace with some groups left whole, given group -> reason."""
    groups = tuple(group for group in trace.groups if group.name not in reasons)
    left = tuple(LeftWhole(name, reason) for name, reason in reasons.items())
    return replace(trace, groups=groups, left_whole=(*trace.left_whole, *left))


def frozen_groups(model: nn.Module, groups: Sequence[ChannelGroup]) -> Reasons:
    """Return the groups whose producing slices are all frozen: no force can empty them."""
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    frozen = [group for group in groups if not any(part.name in trainable for part in group.producing)]
    return {group.name: "all parameters that produce its channels are frozen" for group in frozen}
