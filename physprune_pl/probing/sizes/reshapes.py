"""What a view does to axes: which it takes apart, and which it joins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def blocks(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[range, range]]:
    """Yield the axes that a view makes of which: as few on both sides as hold equally many entries.

    >>> list(blocks((2, 5, 5, 12), (2, 25, 3, 4)))
    [(range(0, 1), range(0, 1)), (range(1, 3), range(1, 2)), (range(3, 4), range(2, 4))]
    """
    one = other = 0
    while one < len(before) and other < len(after):
        first, start = one, other
        left, right, one, other = before[one], after[other], one + 1, other + 1
        while left != right:
            if left < right and one < len(before):
                left, one = left * before[one], one + 1
            elif right < left and other < len(after):
                right, other = right * after[other], other + 1
            else:
                return
        yield range(first, one), range(start, other)


def factored(before: Sequence[int], after: Sequence[int], axis: int) -> tuple[int | None, Sequence[int], int]:
    """Return the axis that a view factors, its factors, and which of them an axis of the result is.

    >>> factored((2, 12, 5, 5), (2, 3, 4, 25), 2)
    (1, (3, 4), 1)
    >>> factored((2, 3, 4, 25), (2, 12, 5, 5), 1)
    (None, (12,), 0)
    """
    for taken, made in blocks(before, after):
        if axis in made:
            factors = tuple(after[made.start : made.stop])
            return (taken.start if len(taken) == 1 else None), factors, axis - made.start
    return None, (after[axis],), 0


def taken_apart(before: Sequence[int], after: Sequence[int]) -> tuple[int, tuple[int, ...]] | None:
    """Return the one axis that a view takes apart, and its factors; None where it takes apart none, or several.

    >>> taken_apart((2, 5, 5, 12), (2, 25, 3, 4)), taken_apart((2, 6, 6, 12), (2, 3, 2, 3, 2, 12))
    ((3, (3, 4)), None)
    """
    factors = {
        taken.start: tuple(size for size in after[made.start : made.stop] if size > 1)
        for taken, made in blocks(before, after)
        if len(taken) == 1
    }
    apart = [(axis, sizes) for axis, sizes in factors.items() if axis and len(sizes) > 1]
    return apart[0] if len(apart) == 1 else None
