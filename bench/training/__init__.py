"""Images per second of two ranks under fairlead, horovodrun and torchrun: `make bench BENCH=training`."""
