"""The steps that use Fairlead's resources: they need the Kubernetes client, but not KFP."""
