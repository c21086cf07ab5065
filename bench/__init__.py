"""Benchmarks: `make bench BENCH=<folder>`; README.md describes the method."""
