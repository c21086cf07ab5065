"""The protocols: each decodes bytes to messages and encodes answers to bytes."""
