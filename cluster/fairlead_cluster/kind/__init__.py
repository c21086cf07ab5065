"""A kind cluster and the images that run on it, on machines with and without Docker and a registry of images."""
