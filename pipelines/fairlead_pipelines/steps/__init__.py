"""The steps that work through Fairlead's resources: they need the Kubernetes client, and nothing of KFP."""
