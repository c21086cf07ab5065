"""Kubernetes clients: writes a second and memory."""
