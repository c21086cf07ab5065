"""The loss of a job that is suspended and resumed: `make bench BENCH=resume` draws docs/resumed-loss.svg."""
