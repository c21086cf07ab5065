"""The step `materialize`: what is known at a time, from the sources to the online store."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
from feast import FeatureStore, FeatureView
from feast.infra.online_stores.helpers import get_online_store_from_config
from feast.utils import _convert_arrow_to_proto

from .addresses import find_places
from .clock import SKEW
from .definitions import FILE, Definitions, View, read_definitions
from .errors import Unusable
from .feast_objects import DIGEST_TAG, build_config
from .locks import lock_view
from .offline_store import KnownThenOfflineStore
from .places import Place
from .sources import fetch_sources
from .stores import find_view, get_source, store_errors

_BATCH = 5_000
_ARROW = {
    "FP32": pa.float32(), "FP64": pa.float64(), "INT32": pa.int32(), "INT64": pa.int64(), "BOOL": pa.bool_(),
    "BYTES": pa.string(),
}  # fmt: skip


@dataclass(frozen=True)
class Materialized:
    """What was written of a view."""

    view: str
    entities: int
    """The entities whose features were written; none if the store was already further."""
    until: datetime
    """The time whose features the store has now."""


def materialize(
    place: Place, sources: Mapping[str, Place], store: dict[str, Any], until: datetime, views: list[str]
) -> Iterator[Materialized]:
    """Write the features of some views, or all, as known at a time; raise Unusable, StoreAway or ArtifactError.

    Writing them again changes nothing, so that a run that was interrupted is run again. A store does not go back: where
    it is further, nothing is written. For that, a time in the future is rejected.
    """
    if until > (now := datetime.now(UTC)) + SKEW:
        raise Unusable(f"the time: got {until.isoformat()}, which is in the future, expected {now.isoformat()} at most")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digest = place.fetch(folder / "definitions", "definitions", "code").digest
        definitions = read_definitions(folder / "definitions" / FILE)
        if unknown := sorted(set(views) - set(definitions.views)):
            raise Unusable(f"views: got {unknown[0]!r}, expected some of {', '.join(definitions.views)}")
        chosen = views or list(definitions.views)
        fetch_sources(definitions, chosen, sources, folder)
        if "redis" in str(store["online_store"].get("type")):
            # Feast's store for Redis would drop a correction: a row of the same event that was known later
            store = {**store, "online_store": {**store["online_store"], "skip_dedup": True}}
        with store_errors("the store", find_places(store)):
            feast = FeatureStore(config=build_config(store, definitions.project, folder))
            for view in chosen:
                with lock_view(feast, view):
                    done = _write_view(feast, definitions, view, digest, until)
                yield done


def _write_view(feast: FeatureStore, definitions: Definitions, name: str, digest: str, until: datetime) -> Materialized:
    view = find_view(feast, name)
    applied = view.tags.get(DIGEST_TAG) if view else None
    if view is None or applied != digest:
        raise Unusable(f"views.{name}: the registry has {applied or 'no such view'}, expected {digest}; apply it first")
    done = view.most_recent_end_time
    if done is not None and done > until:
        return Materialized(name, 0, done)
    table = _read_latest(feast, view, definitions.views[name], definitions, until)
    online = get_online_store_from_config(feast.config.online_store)
    keys = {key.name: key.dtype.to_value_type() for key in view.entity_columns}
    for start in range(0, len(table), _BATCH):
        # one chunk a column, of which Feast reads only the first
        batch = table.slice(start, _BATCH).combine_chunks()
        online.online_write_batch(feast.config, view, _convert_arrow_to_proto(batch, view, keys), None)
    if done != until:
        feast.registry.apply_materialization(view, feast.project, done or datetime.fromtimestamp(0, UTC), until)
    return Materialized(name, len(table), until)


def _read_latest(feast: FeatureStore, view: FeatureView, known: View, definitions: Definitions, until: datetime) -> Any:
    """Return the rows that count at a time, as a table of the features' own types."""
    source = get_source(view)
    frame = KnownThenOfflineStore.pull_latest_from_table_or_query(
        config=feast.config, data_source=source, join_key_columns=list(known.entities),
        feature_name_columns=list(known.features), timestamp_field=source.timestamp_field,
        created_timestamp_column=source.created_timestamp_column, end_date=until,
    ).to_df()  # fmt: skip
    types: dict[str, str] = {name: definitions.entities[name] for name in known.entities}
    types |= {name: feature.type for name, feature in known.features.items()}
    columns = {
        name: pa.array(frame[name].to_numpy(object), _ARROW[kind], from_pandas=True) for name, kind in types.items()
    }
    for name in (source.timestamp_field, source.created_timestamp_column):
        if name:
            columns[name] = pa.array(frame[name].to_numpy(np.dtype("datetime64[ns]")), pa.timestamp("ns", "UTC"))
    return pa.table(columns)
