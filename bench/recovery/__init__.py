"""How fast an elastic training goes on after the loss of a worker: `make bench BENCH=recovery`."""
