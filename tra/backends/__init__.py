"""Running plans: threads of this process, or Dask; storage; and the session, the front door."""
