"""Numbers that depend on no order, machine or threads: exact sums and products, fixed element functions."""
