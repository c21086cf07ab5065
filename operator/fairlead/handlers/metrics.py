"""The operator's own metrics."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("fairlead_reconciles_total", "Reconciles by kind and result.", ["kind", "result"])
SECONDS = Histogram("fairlead_reconcile_seconds", "Duration of a reconcile.", ["kind"])
WRITES = Counter("fairlead_api_writes_total", "Writes to the API server.", ["kind"])
REQUESTS = Counter("fairlead_api_requests_total", "Requests to the API server, except watches.", ["method", "resource"])
QUEUE = Gauge("fairlead_queue_depth", "Resources that are due or in progress.")
LEADER = Gauge("fairlead_leader", "1 while this process is the leader.")
