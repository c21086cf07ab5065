"""The operator compared with other controllers: many two-worker jobs on a real control plane with fake nodes."""
