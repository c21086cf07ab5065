"""What the local cluster, kind and the demo share: paths, background processes, long steps, environments, Go."""
