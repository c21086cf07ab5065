"""kopf's side: watches put keys on a queue; workers reconcile them. Thin."""
