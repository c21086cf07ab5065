"""The operator against other controllers: many two-worker jobs on a real control plane with fake nodes."""
