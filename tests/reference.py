"""Naive loop twins of every formula, one number at a time, written from the formulas and from nothing else."""

import math

import torch


def elements(group, channel, tensors, scope="group"):
    """Yield every counted element of one channel; one in a row and in a column slice comes twice."""
    for part in group.slices:
        tensor = tensors.get(part.name)
        counted = part.role == "filter" if scope == "filter" else part.role != "buffer"
        if tensor is None or not tensor.requires_grad or not counted:
            continue
        for index, owner in zip(part.index, part.channel, strict=True):
            if owner == channel:
                yield from tensor.select(part.dim, index).flatten()


def strength(name, values):
    """Norm of a list of scalars (plain numbers or tensors that autograd follows)."""
    total = 0.0
    for value in values:
        total = total + (abs(value) if name == "l1" else value * value)
    return total**0.5 if name == "l2" else total


def penalty(name, groups, tensors, pressure, scope="group"):
    total, place = 0.0, 0
    for group in groups:
        for channel in range(group.size):
            total = total + pressure[place] * strength(name, elements(group, channel, tensors, scope))
            place += 1
    return total


def taylor(group, channel, tensors, gradients):
    """First-order change of the loss if a channel goes; an element in a row and in a column slice comes twice."""
    total = 0.0
    for part in group.slices:
        tensor, gradient = tensors.get(part.name), gradients.get(part.name)
        if tensor is None or gradient is None or part.role == "buffer":
            continue
        for index, owner in zip(part.index, part.channel, strict=True):
            if owner == channel:
                weights, slopes = (one.detach().select(part.dim, index).flatten() for one in (tensor, gradient))
                for weight, slope in zip(weights.tolist(), slopes.tolist(), strict=True):
                    total += weight * slope
    return total


def running_squares(readings, horizon):
    """Mean of squares of numbers, over all of them at first, then with the weight 1 / horizon for the newest."""
    mean = 0.0
    for count, reading in enumerate(readings, start=1):
        share = 1 / min(count, horizon)
        mean = (1 - share) * mean + share * reading * reading
    return mean


def sign(group, channel, tensors):
    total = 0.0
    for part in group.slices:
        if part.role == "filter" and part.name in tensors:
            for index, owner in zip(part.index, part.channel, strict=True):
                if owner == channel:
                    total += float(tensors[part.name].detach().select(part.dim, index).sum())
    return -1.0 if total < 0 else 1.0


def index_distance(strengths, pivot):
    return [abs(k - pivot) for k in range(len(strengths))]


def rank_distance(strengths, pivot):
    def rank(k):
        stronger = [j for j, s in enumerate(strengths) if s > strengths[k]]
        earlier = [j for j, s in enumerate(strengths) if s == strengths[k] and j < k]
        return len(stronger) + len(earlier)

    return [abs(rank(k) - rank(pivot)) for k in range(len(strengths))]


def strength_gap(strengths, pivot):
    gaps = [abs(s - strengths[pivot]) for s in strengths]
    return [(len(gaps) - 1) * gap / max(gaps) if max(gaps) > 0 else 0.0 for gap in gaps]


def uniform(q, d, pivot, e):
    return [1.0 for _ in q]


def torque(q, d, pivot, e):
    return [float(distance) for distance in d]


def exponential(q, d, pivot, e, rate=5.0):
    return [math.exp(rate * distance / len(q)) for distance in d]


def gravity(q, d, pivot, e):
    return [0.0 if k == pivot else q[pivot] / (max(d) - d[k] + 1) ** 2 for k in range(len(q))]


def gravity_literal(q, d, pivot, e):
    return [0.0 if k == pivot or d[k] < 1e-6 else q[pivot] / d[k] ** 2 for k in range(len(q))]


def electrostatic(q, d, pivot, e, softening=0.1):
    forces = []
    for k in range(len(q)):
        length = d[k] + softening * sum(q) / len(q)
        attracted = e[k] * e[pivot] < 0
        if k == pivot or length == 0 or (attracted and q[k] >= q[pivot]):
            forces.append(0.0)
        else:
            forces.append(e[k] * e[pivot] * q[pivot] * q[k] / length**2)
    return forces


def normalized(raw):
    mean = sum(abs(c) for c in raw) / len(raw)
    return [c / mean if mean > 0 else 0.0 for c in raw]


def schedule(name, progress, start=0.0):
    if progress < start:
        return 0.0
    x = (progress - start) / (1 - start)
    return {
        "constant": 1.0,
        "linear": x,
        "cosine": 0.5 - 0.5 * math.cos(math.pi * x),
        "cubic": 1 - (1 - x) * (1 - x) * (1 - x),
    }[name]


def close(actual, expected, tolerance=1e-5):
    """Assert that a tensor holds these numbers."""
    expected = torch.as_tensor(expected, dtype=actual.dtype)
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)
