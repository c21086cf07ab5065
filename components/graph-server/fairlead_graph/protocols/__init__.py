"""The protocols: each decodes bytes to messages and encodes responses to bytes."""
