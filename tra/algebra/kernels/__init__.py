"""The kernels that come with the engine; importing this package registers them."""

from tra.algebra.kernels import classes, contraction, elementwise, layout, pair, reduction

__all__ = ["classes", "contraction", "elementwise", "layout", "pair", "reduction"]
