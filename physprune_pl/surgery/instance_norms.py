"""Instance norms that hold no tensors, for any number of channels."""

# Methods of torch's own norms have no types.
# mypy: allow-untyped-calls

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm


class _AnyWidth(_InstanceNorm):
    """An instance norm without tensors: ``num_features`` is what it was built with, and nothing depends on it."""

    def forward(self, input: Tensor) -> Tensor:
        """Norm every channel by itself: [batch, channels, ...] or [channels, ...]."""
        self._check_input_dim(input)
        alone = input.dim() == self._get_no_batch_dim()
        output: Tensor = self._handle_no_batch_input(input) if alone else self._apply_instance_norm(input)
        return output


class AnyWidthInstanceNorm1d(_AnyWidth, nn.InstanceNorm1d):
    """``nn.InstanceNorm1d`` that takes any number of channels without a warning."""


class AnyWidthInstanceNorm2d(_AnyWidth, nn.InstanceNorm2d):
    """``nn.InstanceNorm2d`` that takes any number of channels without a warning."""


class AnyWidthInstanceNorm3d(_AnyWidth, nn.InstanceNorm3d):
    """``nn.InstanceNorm3d`` that takes any number of channels without a warning."""


_STAND_INS: dict[type[nn.Module], type[nn.Module]] = {
    nn.InstanceNorm1d: AnyWidthInstanceNorm1d,
    nn.InstanceNorm2d: AnyWidthInstanceNorm2d,
    nn.InstanceNorm3d: AnyWidthInstanceNorm3d,
}


def any_width(module: nn.Module) -> type[nn.Module] | None:
    """Return the class to exchange that of an instance norm for which no tensor tells its width; None for others.

    torch warns at every call where ``num_features`` is not the number of channels, and no plan says what became of it.

    Example:
        >>> any_width(nn.InstanceNorm2d(8)).__name__, any_width(nn.InstanceNorm2d(8, affine=True))
        ('AnyWidthInstanceNorm2d', None)
    """
    stand_in = _STAND_INS.get(type(module))
    bare = stand_in is not None and module.weight is None and module.running_mean is None
    return stand_in if bare else None
