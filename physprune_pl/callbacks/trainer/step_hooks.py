"""Functions around every step of an optimizer, however the step is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from torch.optim import Optimizer

from physprune_pl.surgery.optimizer_states import with_inner

Visit = Callable[[Optimizer], None]


class StepHooks:
    """Visits optimizers right before steps that nobody announced, and after every step; those that they wrap as well.

    Hooks of a Trainer are called for steps that the Trainer takes, and may come in the middle of them: SAM computes the
    gradients where it has pushed the weights to, and takes that back later. What torch calls around ``step`` itself
    sees them as they stay, and knows steps past the Trainer too. A step with a closure is visited once the closure
    has made the gradients, and an optimizer inside another one not again.

    >>> import torch
    >>> seen, hooks = [], StepHooks()
    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    >>> hooks.enter([optimizer], lambda one: seen.append("before"), lambda one: seen.append("after"))
    >>> optimizer.step()
    >>> hooks.announce(optimizer)
    >>> optimizer.step()
    >>> hooks.leave()
    >>> optimizer.step()
    >>> seen
    ['before', 'after', 'after']
    """

    def __init__(self) -> None:
        self._handles: list[Any] = []
        self._hooked: set[int] = set()
        self._announced: set[int] = set()

    def enter(self, optimizers: Iterable[Optimizer], unannounced: Visit, after: Visit) -> None:
        """Begin to visit optimizers, and no others than these."""
        self.leave()
        for one in {id(one): one for optimizer in optimizers for one in with_inner(optimizer)}.values():
            # What only looks like an optimizer of torch has no hooks.
            if isinstance(one, Optimizer) and hasattr(one, "_optimizer_step_post_hooks"):
                self._handles.append(one.register_step_pre_hook(partial(self._begin, unannounced)))
                self._handles.append(one.register_step_post_hook(partial(self._end, after)))
                self._hooked.add(id(one))

    def announce(self, optimizer: Optimizer) -> None:
        """Say that an optimizer is about to step, with those that it wraps."""
        self._announced |= {id(one) for one in with_inner(optimizer)}

    def leave(self) -> None:
        """Visit nobody any more."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._hooked, self._announced = [], set(), set()

    def knows(self, optimizer: Optimizer) -> bool:
        """Whether the steps of an optimizer, or those of one that it wraps, are visited."""
        return any(id(one) in self._hooked for one in with_inner(optimizer))

    def _begin(self, visit: Visit, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        closure = next((one for one in (*args[1:], *kwargs.values()) if callable(one)), None)
        if id(optimizer) in self._announced or _of_trainer(closure):
            return None
        self.announce(optimizer)
        if closure is None:
            visit(optimizer)
            return None
        return args[:1], {**kwargs, "closure": partial(_visit_after, visit, optimizer, closure)}

    def _end(self, after: Visit, optimizer: Optimizer, *_: Any) -> None:
        self._announced -= {id(one) for one in with_inner(optimizer)}
        after(optimizer)


def _visit_after(visit: Visit, optimizer: Optimizer, closure: Callable[[], Any]) -> Any:
    result = closure()
    visit(optimizer)
    return result


def _of_trainer(closure: Any) -> bool:
    """Whether a trainer gave a closure to a step, and will announce the step once the closure has run."""
    return getattr(getattr(closure, "func", None), "__name__", "") == "_wrap_closure"
