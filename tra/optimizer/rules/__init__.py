"""Rules: what is equal. One small function each; `registry` lists them in order."""
