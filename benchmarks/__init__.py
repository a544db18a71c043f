"""What the planner and the engine are measured by; `report` writes it all to docs/benchmarks.md."""
