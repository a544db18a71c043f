"""Products of three shapes beside their peers: on threads, a cluster, from files, over slow links."""

from __future__ import annotations

from benchmarks import cluster_products, file_products, link_products, local_products, product_plots
from benchmarks.bars import record
from benchmarks.page import Settings, begins, paragraph
from benchmarks.report import alone


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    begins("products on threads")
    local = local_products.run_all(settings)
    begins("products on a cluster")
    cluster = cluster_products.run_all(settings)
    begins("products from files")
    files = file_products.run_all(settings)
    begins("products over slow links")
    linked = link_products.run_all(settings)
    of_local, of_cluster = local_products.bars(local), cluster_products.bars(cluster)
    of_files, of_linked = file_products.bars(files), link_products.bars(linked)
    record(settings, "products", [*of_local.values(), *of_cluster.values(), *of_files, *of_linked])
    return [
        *paragraph(HEAD),
        *local_products.lines(local, of_local),
        *cluster_products.lines(cluster, of_cluster),
        *file_products.lines(files, of_files),
        *link_products.lines(linked, of_linked),
        *product_plots.draw(settings, local, cluster, linked),
    ]


HEAD = (
    "Products (n×k)·(k×m) with equal extents (general), a long inner dimension (common) and two long outer "
    "dimensions (two), of as many operations each; float32. All systems run in turns, after a round that "
    "warms up: seconds are medians, ratios the median of those within rounds. Every result is held against "
    "NumPy's first."
)

if __name__ == "__main__":
    alone(__file__)
