"""What pytest must not collect, and the same random cases in every run of a CI machine."""

import os
from importlib.util import find_spec

from hypothesis import settings

# The links at the root would show every module of `tra` twice.
collect_ignore = ["optimizer", "backends", "sql"]
# Fuzzing by coverage needs atheris, and is no test.
collect_ignore += ["tests/fuzz"]
# Examples in documentation that need a package that is not there.
collect_ignore += [f"tra/workflows/{name}_models.py" for name in ("torch", "onnx") if find_spec(name) is None]

collect_ignore += ["tests/fuzz/fuzz.py"]  # it needs atheris, and never ends

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
