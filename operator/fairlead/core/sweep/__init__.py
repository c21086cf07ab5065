"""The planner of Sweeps."""
