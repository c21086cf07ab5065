"""How fast a graph server answers: `make bench BENCH=serving`."""
