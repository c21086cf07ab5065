"""The process node: a Kubernetes node whose pods are processes of this machine. It isolates nothing.

What a pod gets here instead of a container is described in docs/local-cluster.md, limits included.
"""
