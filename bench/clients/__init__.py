"""Kubernetes clients: writes per second and memory."""
