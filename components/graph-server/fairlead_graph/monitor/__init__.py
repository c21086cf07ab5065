"""Monitoring: what models accept and return, counted by the bins of their training data."""
