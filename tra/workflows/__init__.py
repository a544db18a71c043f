"""Ready-made machine-learning queries: products, networks, regression, clusters, factors, neighbours.

Each module has the query in Python, and the same query as text; `examples` has each as a query file.
"""

from tra.workflows import (
    ffnn,
    kmeans,
    logistic_regression,
    matmul,
    matrix_factorisation,
    nearest_neighbours,
)

__all__ = ["ffnn", "kmeans", "logistic_regression", "matmul", "matrix_factorisation", "nearest_neighbours"]
