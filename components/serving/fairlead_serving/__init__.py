"""Bounded HTTP in front of a supervised model process, shared by the graph server and the edge runtime."""
