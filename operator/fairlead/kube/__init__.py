"""The Kubernetes side: a thin client, observation and execution."""
