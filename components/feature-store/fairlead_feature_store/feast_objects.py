"""The definitions as Feast's objects, and Feast's configuration for a store."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, FileSource
from feast.errors import FeastError
from feast.repo_config import RepoConfig
from feast.types import Bool, Float32, Float64, Int32, Int64, PrimitiveFeastType, String
from feast.value_type import ValueType
from pydantic import ValidationError

from .definitions import Definitions
from .errors import Unusable

DIGEST_TAG = "fairlead.dev/definitions"
"""The tag of every object in a registry: the digest of the definitions that it is from."""
OFFLINE_STORE = "fairlead_feature_store.offline_store.KnownThenOfflineStore"
_TYPES: dict[str, PrimitiveFeastType] = {
    "FP32": Float32, "FP64": Float64, "INT32": Int32, "INT64": Int64, "BOOL": Bool, "BYTES": String
}  # fmt: skip
_KEY_TYPES = {"INT64": ValueType.INT64, "BYTES": ValueType.STRING}


def build_objects(definitions: Definitions, digest: str) -> list[Any]:
    """Return the definitions as Feast's objects."""
    tags = {DIGEST_TAG: digest}
    entities = _build_entities(definitions, tags)
    views = {name: build_view(definitions, name, tags) for name in definitions.views}
    services = []
    for name in definitions.sets:
        chosen = [views[each.view][list(each.features)] for each in definitions.select(name)]
        services.append(FeatureService(name=name, features=chosen, tags=tags))
    return [*entities.values(), *views.values(), *services]


def build_view(definitions: Definitions, name: str, tags: dict[str, str] | None = None) -> FeatureView:
    """Return one view as Feast's object; its source's path begins with the artifact's name."""
    view, tags = definitions.views[name], tags or {}
    entities = _build_entities(definitions, tags)
    schema = [Field(name=key, dtype=_TYPES[definitions.entities[key]]) for key in view.entities]
    schema += [
        Field(name=key, dtype=_TYPES[feature.type], description=feature.description)
        for key, feature in view.features.items()
    ]
    return FeatureView(
        name=name, entities=[entities[key] for key in view.entities], schema=schema,
        source=_build_source(definitions, name), ttl=timedelta(seconds=view.ttl_seconds or 0),
        description=view.description, tags=tags,
    )  # fmt: skip


def build_config(store: dict[str, Any], project: str, folder: Path) -> RepoConfig:
    """Return Feast's configuration: a store's, our offline store, and the folder in which sources are."""
    document = {
        **store, "project": project, "provider": "local", "offline_store": {"type": OFFLINE_STORE},
        "entity_key_serialization_version": 3,
    }  # fmt: skip
    try:
        config = RepoConfig(**document)
        config.repo_path = folder
        _ = config.registry, config.online_store  # which are parsed when they are asked for
    except (FeastError, TypeError):  # whose texts have the values
        known = "a registry_type of file or sql, and a type of online_store of sqlite, postgres or redis"
        raise Unusable(f"the store's file: got types that Feast does not have, expected {known}") from None
    except ValidationError as error:  # its own text has the values, of which one may be a password
        found = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)]
        raise Unusable(f"the store's file: {'; '.join(found)[:500]}") from None
    return config


def _build_entities(definitions: Definitions, tags: dict[str, str]) -> dict[str, Entity]:
    return {
        name: Entity(name=name, join_keys=[name], value_type=_KEY_TYPES[kind], tags=tags)
        for name, kind in definitions.entities.items()
    }


def _build_source(definitions: Definitions, name: str) -> FileSource:
    view = definitions.views[name]
    source = view.source
    types: dict[str, str] = {key: definitions.entities[key] for key in view.entities}
    types |= {key: feature.type for key, feature in view.features.items()}
    return FileSource(
        name=name, path=f"{source.artifact}/{source.file}", timestamp_field=source.timestamp,
        created_timestamp_column=source.created or "", tags=types,
    )  # fmt: skip
