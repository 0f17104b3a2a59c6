"""What the tracker records of one epoch: rows by original index, for every group and every layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.history import PLANNED, Row, spread
from physprune_pl.networks.names import plain
from physprune_pl.structure import ChannelGroup
from physprune_pl.surgery.regroup import kept_channels, kept_indices

NamedRows = Iterator[tuple[str, Row]]


def group_strengths(session: PruningSession) -> dict[str, Tensor]:
    """Return group -> strengths of its channels as they are now, [K], float32 on the CPU."""
    strengths = session.penalty.strengths().detach().float().cpu()
    parts = zip(session.groups, session.penalty.segments, strict=True)
    return {group.name: strengths[part][list(original_channels(session, group))] for group, part in parts}


def original_channels(session: PruningSession, group: ChannelGroup) -> tuple[int, ...]:
    """Return, for each channel of a group as it is now, its index before any cut."""
    kept = {} if session.plan is None else kept_channels(session.plan)
    return kept.get(group.name, tuple(range(group.size)))


def epoch_rows(session: PruningSession, strengths: Mapping[str, Tensor]) -> dict[str, Row]:
    """Return the rows of an epoch: ``strength``, ``distance`` and ``coefficient`` of groups, ``l1``, ``l2`` of layers.

    Args:
        session: of the fit, with the network traced.
        strengths: what :func:`group_strengths` gives.

    Returns:
        ``<series>/<group or layer>`` -> values by original index; distances until the cut, which may take the pivot
        away, and coefficients while a force acts. While a coefficient is steered also ``chosen``, 1 for the channels
        to be cut, two series of one value a group: ``group_coefficient`` and ``remaining``, the share that is left of
        the strength that its chosen channels had at the start, and ``planned``, what that share should be.
    """
    rows = (_channel_rows(session, strengths), _distance_rows(session), _steering_rows(session), _filter_rows(session))
    return dict(row for part in rows for row in part)


def _channel_rows(session: PruningSession, strengths: Mapping[str, Tensor]) -> NamedRows:
    for group, part in zip(session.groups, session.penalty.segments, strict=True):
        places = original_channels(session, group)
        yield f"strength/{group.name}", spread(strengths[group.name].numpy(), places)
        if session.coefficients is not None:
            yield f"coefficient/{group.name}", _row(session.coefficients[part][list(places)], places)


def _distance_rows(session: PruningSession) -> NamedRows:
    if session.phase != "sparsify":
        return
    penalty = session.penalty
    strengths = penalty.strengths()
    channels = session.law.channels(strengths, penalty.signs().to(strengths.device), penalty.segments)
    for group, seen in zip(session.groups, channels, strict=True):
        places = original_channels(session, group)
        yield f"distance/{group.name}", _row(seen.distance[list(places)], places)


def _steering_rows(session: PruningSession) -> NamedRows:
    steering = session.steering
    if steering is None or session.phase != "sparsify":
        return
    yield PLANNED, np.array([steering.planned], dtype=np.float32)
    coefficients = steering.coefficients()
    for place, group in enumerate(session.groups):
        places = original_channels(session, group)
        yield f"chosen/{group.name}", _row(steering.removed()[place][list(places)], places)
        yield f"group_coefficient/{group.name}", _row(coefficients[place : place + 1], (0,))
        yield f"remaining/{group.name}", _row(steering.remaining[place : place + 1], (0,))


def _filter_rows(session: PruningSession) -> NamedRows:
    for name, layer in session.model.named_modules():
        if isinstance(layer, _ConvNd | nn.Linear):
            filters = layer_filters(layer)
            places = _original_filters(session, name, layer, len(filters))
            yield f"l1/{plain(name)}", _row(filters.norm(p=1, dim=1), places)
            yield f"l2/{plain(name)}", _row(filters.norm(p=2, dim=1), places)


def _row(values: Tensor, places: tuple[int, ...]) -> Row:
    return spread(values.detach().float().cpu().numpy(), places)


def layer_filters(layer: _ConvNd | nn.Linear) -> Tensor:
    """Return the weights that make each output of a layer, [filters, weights]."""
    weight: Tensor = layer.weight.detach().float()
    if isinstance(layer, _ConvTransposeNd):
        # [in, out / groups, ...]: the inputs of a conv group make its outputs.
        inputs = weight.shape[0] // layer.groups
        return weight.reshape(layer.groups, inputs, weight.shape[1], -1).transpose(1, 2).flatten(0, 1).flatten(1)
    return weight.flatten(1)


def _original_filters(session: PruningSession, name: str, layer: nn.Module, count: int) -> tuple[int, ...]:
    """Return the index of each filter before the cut, as far as the plan tells."""
    kept = None
    if session.plan is not None:
        transposed = isinstance(layer, _ConvTransposeNd)
        kept = kept_indices(session.plan, f"{name}.weight", 1 if transposed else 0)
    return kept if kept is not None and len(kept) == count else tuple(range(count))
