"""The servers' fault campaign: fuzzed requests, slow clients and hostile models (`make chaos CHAOS=servers`)."""
