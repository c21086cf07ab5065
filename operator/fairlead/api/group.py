"""The API group and version of the custom resources."""

GROUP = "fairlead.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CONTROLLER = f"{GROUP}/operator"
"""The operator's name in managedBy."""
