"""Generated files: CRDs from `fairlead.api` and RBAC rules from `fairlead.kube.kinds`."""
