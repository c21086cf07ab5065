"""The artifact store: folders with a manifest at file:// and s3:// URIs, published atomically and verified on read."""

from .artifact import delete, fetch, list_artifacts, open_model, publish, read_files, read_manifest
from .cache import Cache, CachedArtifact
from .errors import ArtifactError, ArtifactNotFound, CacheUnusable, StoreUnavailable
from .manifest import KINDS, FileEntry, JsonValue, Manifest, Parent
from .objects import open_object
from .regular import open_regular
from .retries import PUBLISH_SECONDS, retry_unavailable
from .signing import MAX_KEY_BYTES, MAX_KEYS, NotSigned, PublicKey, SigningKey, sign, verify
from .uri import Location, model_card_uri, parse_digest, parse_uri, validation_uri

__all__ = [
    "KINDS",
    "MAX_KEYS",
    "MAX_KEY_BYTES",
    "PUBLISH_SECONDS",
    "ArtifactError",
    "ArtifactNotFound",
    "Cache",
    "CacheUnusable",
    "CachedArtifact",
    "FileEntry",
    "JsonValue",
    "Location",
    "Manifest",
    "NotSigned",
    "Parent",
    "PublicKey",
    "SigningKey",
    "StoreUnavailable",
    "delete",
    "fetch",
    "list_artifacts",
    "model_card_uri",
    "open_model",
    "open_object",
    "open_regular",
    "parse_digest",
    "parse_uri",
    "publish",
    "read_files",
    "read_manifest",
    "retry_unavailable",
    "sign",
    "validation_uri",
    "verify",
]
