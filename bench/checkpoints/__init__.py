"""What a checkpoint costs a training: `make bench BENCH=checkpoints`."""
