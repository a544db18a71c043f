"""What pytest must not collect, and the same random cases in every run of a CI machine."""

import os

from hypothesis import settings

# The links at the root would show every module of `tra` twice.
collect_ignore = ["optimizer", "backends", "sql"]

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
