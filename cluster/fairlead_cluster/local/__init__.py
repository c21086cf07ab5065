"""The local cluster: a real control plane and a node whose pods are processes, without Docker and without root."""
