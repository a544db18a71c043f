"""Runs within a memory limit: a plan as passes over windows of its relations, with files for what must wait."""
