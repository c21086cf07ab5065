"""What the HTTP process asks the model process besides requests, as protocols."""

OBSERVED = "observed"
"""What the model process has counted since it was asked last, as JSON."""
SELF_TEST = "self-test"
"""Whether the model answers the cases of self-test.npz, the body, as when it was built: `{"problem": text or null}`."""
