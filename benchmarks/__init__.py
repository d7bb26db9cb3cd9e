"""Measurements beside peers and limits: ``python -m benchmarks``. docs/benchmarks.md explains."""
