"""Ready-made machine-learning queries: matrix product, feed-forward network, nearest neighbours.

Each module has the query in Python, the same query as text in both forms, and a benchmark.
"""

from tra.workflows import ffnn, matmul, nearest_neighbours

__all__ = ["ffnn", "matmul", "nearest_neighbours"]
