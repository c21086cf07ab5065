"""The command line: `fairlead` and `kubectl fairlead`."""
