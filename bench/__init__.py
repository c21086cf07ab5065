"""Benchmarks, each one command: `make bench BENCH=<folder>`; README.md says how each figure is made."""
