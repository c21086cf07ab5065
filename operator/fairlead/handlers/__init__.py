"""The operator process: watches add keys to a queue, and workers reconcile them."""
