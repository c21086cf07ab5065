"""TrainingJob: the planner and the builders of its children."""
