"""Figures with their units, for people."""

from __future__ import annotations


def readable(name: str, value: float) -> str:
    """A figure with its unit.

    Example:
        >>> readable("bytes_moved", 2_500_000), readable("seconds", 0.0123), readable("elements", 12_345)
        ('2.5 MB', '12.3 ms', '12,345 elements')
    """
    if name == "seconds":
        return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"
    if name == "tasks":
        return str(int(value))
    if name == "elements":
        return f"{value:,.0f} elements"
    unit = "B" if "bytes" in name else "flop"
    for scale, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value:.0f} {unit}"


def percent(part: float) -> str:
    """A part of one in percent.

    Example:
        >>> percent(1 / 3), percent(0.00025)
        ('33.3 %', '0.025 %')
    """
    return f"{part * 100:.3g} %"
