"""ModelDeployment: what to do next, and the objects that it takes."""
