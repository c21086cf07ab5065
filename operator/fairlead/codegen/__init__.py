"""Files that follow from the code: CRDs from `fairlead.api`, RBAC from `fairlead.kube.kinds`."""
