"""ModelDeployment: the planner and the builders of its children."""
