"""The step `apply`: definitions into the registry, and the tables of the online store."""

import tempfile
from pathlib import Path
from typing import Any

from feast import FeatureStore, FeatureView

from .addresses import find_places
from .definitions import FILE, read_definitions
from .errors import Unusable
from .feast_objects import build_config, build_objects
from .places import Place
from .stores import find_change, find_view, store_errors


def apply_definitions(place: Place, store: dict[str, Any]) -> str:
    """Apply the definitions of an artifact and return its digest; raise Unusable, StoreAway or ArtifactError.

    What is in the registry and not in the definitions stays there.
    """
    with tempfile.TemporaryDirectory() as name:
        digest = place.fetch(Path(name, "definitions"), "definitions", "code").digest
        definitions = read_definitions(Path(name, "definitions", FILE))
        with store_errors("the store", find_places(store)):
            feast = FeatureStore(config=build_config(store, definitions.project, Path(name)))
            objects = build_objects(definitions, digest)
            for view in (item for item in objects if isinstance(item, FeatureView)):
                _check_view(feast, view)
            feast.apply(objects)
    return digest


def _check_view(store: FeatureStore, view: FeatureView) -> None:
    """Raise Unusable if models that use a view would get something else than they were trained on."""
    old = find_view(store, view.name)
    if old is not None and (change := find_change(old, view)):
        raise Unusable(f"views.{view.name}.{change}: what a view means does not change; give it another name")
