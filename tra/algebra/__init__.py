"""The algebra: what a query means. Types, kernels, operators, the relation, and the reference evaluator."""
