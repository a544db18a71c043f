"""What the planner and the engine are measured by; `report` writes it all to docs/benchmarks.md."""

from benchmarks.scripts import check_script

check_script()
