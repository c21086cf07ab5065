"""The worked example on the local cluster: `fairlead demo`."""
