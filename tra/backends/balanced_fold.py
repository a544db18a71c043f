"""Folds by a balanced tree, as values come: which are folded with which depends on their number alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class BalancedFold(Generic[T]):
    """A fold of values that come one after the other, of which the logarithm of their number is held.

    Runs of 2, 4, 8, … values are folded first, from places that are multiples of their lengths, so that whole
    runs may be folded elsewhere without a change of any bit.

    Attributes:
        combine: folds two values.

    Example:
        >>> fold = BalancedFold("({}+{})".format)
        >>> for value in "abcdefg":
        ...     fold.add(value)
        >>> fold.total(), most_held(7)
        ('(((a+b)+(c+d))+((e+f)+g))', 3)
    """

    def __init__(self, combine: Callable[[T, T], T]) -> None:
        self.combine = combine
        self._runs: list[tuple[int, T]] = []

    def add(self, value: T) -> None:
        """Takes the next value."""
        length = 1
        while self._runs and self._runs[-1][0] == length:
            length, value = 2 * length, self.combine(self._runs.pop()[1], value)
        self._runs.append((length, value))

    def total(self) -> T:
        """The fold of all values.

        Raises:
            ValueError: there are no values.
        """
        if not self._runs:
            raise ValueError("a fold of nothing")
        total = self._runs[-1][1]
        for _, value in reversed(self._runs[:-1]):
            total = self.combine(value, total)
        return total


def fold_balanced(combine: Callable[[T, T], T], values: Iterable[T]) -> T:
    """The fold of some values by a balanced tree.

    Example:
        >>> fold_balanced("({}+{})".format, "abc")
        '((a+b)+c)'

    Raises:
        ValueError: there are no values.
    """
    fold = BalancedFold(combine)
    for value in values:
        fold.add(value)
    return fold.total()


def most_held(n: int) -> int:
    """How many values a fold of so many holds at most.

    Example:
        >>> [most_held(n) for n in (1, 2, 3, 4, 1000)]
        [1, 1, 2, 2, 9]
    """
    return (n + 1).bit_length() - 1
