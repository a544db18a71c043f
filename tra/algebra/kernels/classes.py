"""The kernel that checks labels: zero for a class and NaN for what is none, so that a loss is NaN too."""

from __future__ import annotations

import numpy as np

from tra.algebra.counted import counted
from tra.algebra.kernel import Kernel, Laws, make_kernel, register
from tra.algebra.kernels.parameters import number_dtype, whole_size
from tra.algebra.types import Tile


def _class_check(size: int, dtype: str = "float64") -> Kernel:
    """0 for each number from 0 to `size` − 1 and NaN for any other."""
    size = whole_size(size, "class_check")
    target = number_dtype(dtype, "class_check", "fc")

    def is_class(x: Tile) -> Tile:
        found: Tile = (x >= 0) & (x < size)
        return found

    def function(x: Tile) -> Tile:
        result: Tile = np.where(is_class(x), target.type(0), target.type(np.nan))
        return result

    def fault(x: Tile) -> str | None:
        strange = x[~is_class(x)]
        if not strange.size:
            return None
        return f"label {strange.flat[0]}, but there are {counted(size, 'class', 'classes')}, 0 to {size - 1}"

    return make_kernel(
        "class_check", "()->()", function, params={"size": size, "dtype": str(target)},
        laws=Laws(elementwise=True, zero_preserving=True), flops=lambda dims: 3.0, output_dtype=target,
        fault=fault,
    )  # fmt: skip


register("class_check", _class_check)
