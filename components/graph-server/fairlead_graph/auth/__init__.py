"""Authentication of requests by API keys, which administrators rotate in a file."""
