"""How little the bits of a result may depend on how it is computed."""

from __future__ import annotations

from typing import Literal, get_args

Level = Literal["off", "run", "tiling", "exact"]
LEVELS: tuple[Level, ...] = get_args(Level)
