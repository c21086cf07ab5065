"""The operator's own metrics."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("fairlead_reconciles_total", "Reconciles by kind and result.", ["kind", "result"])
SECONDS = Histogram("fairlead_reconcile_seconds", "Duration of a reconcile.", ["kind"])
WRITES = Counter("fairlead_api_writes_total", "Requests to the API server that change something.", ["kind"])
REQUESTS = Counter("fairlead_api_requests_total", "Requests to the API server, not watches.", ["method", "resource"])
QUEUE = Gauge("fairlead_queue_depth", "Resources that wait or are being worked on.")
LEADER = Gauge("fairlead_leader", "1 while this process leads.")
