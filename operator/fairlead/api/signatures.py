"""Keys whose signatures count, in the specs of both resources."""

from typing import Annotated

from pydantic import Field

PUBLIC_KEY = "^-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=\n-----END PUBLIC KEY-----\n?$"
"""An Ed25519 public key in PEM: these are the only ones that begin so (RFC 8410)."""
_MAX_LENGTH = 120

PublicKeys = Annotated[
    list[Annotated[str, Field(max_length=_MAX_LENGTH, pattern=PUBLIC_KEY)]],
    Field(max_length=8),
]
"""Ed25519 public keys in PEM, as `fairlead-artifacts keygen` and `openssl pkey -pubout` write them."""
