"""Traffic between revisions: which requests other revisions answer, or get a copy of, and what is measured of it."""
