"""The kernels that come with the engine; importing this package registers them."""

from tra.algebra.kernels import contraction, elementwise, layout, pair, reduction

__all__ = ["contraction", "elementwise", "layout", "pair", "reduction"]
