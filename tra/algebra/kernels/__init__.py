"""The kernels that come with the engine; importing this package registers them."""

from tra.algebra.kernels import canonical, classes, contraction, elementwise, exact, layout, pair, reduction

__all__ = ["canonical", "classes", "contraction", "elementwise", "exact", "layout", "pair", "reduction"]
