"""What pytest must not collect: the links at the root would show it every module of `tra` twice."""

collect_ignore = ["optimizer", "backends", "sql"]
