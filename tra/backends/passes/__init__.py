"""Runs within a memory limit: passes over windows of relations, and files for what must wait."""
