"""Queries written so that their results do not depend on how they run: in canonical blocks, or exactly."""
