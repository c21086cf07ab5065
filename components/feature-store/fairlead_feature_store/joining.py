"""The join: entity rows with the features that were known at their time, published as a dataset."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]
from fairlead_artifacts import PUBLISH_SECONDS, Manifest, publish
from fairlead_contracts.tensors import Array
from feast import FeatureStore

from . import __version__
from .columns import complete, describe_key
from .definitions import FILE, Definitions, Selected, read_definitions
from .errors import Unusable
from .feast_objects import build_config, build_objects
from .offline_store import TIME
from .places import Place
from .sources import fetch_sources, read_rows

PRODUCER = f"fairlead-feature-store/{__version__}"
SPLIT = "split"
"""The column of entity rows that names the split of each, an .npz file of the dataset."""
TABLE = "features.parquet"


@dataclass(frozen=True)
class Request:
    """What to join."""

    definitions: Place
    set_: str
    rows: Place
    sources: Mapping[str, Place]
    out_uri: str
    time: str = TIME
    """The column of entity rows that says for which time features are joined."""
    drop_missing: bool = False
    """Whether rows that lack a feature without a default are left out; otherwise they are an error."""


@dataclass(frozen=True)
class Joined:
    """A published dataset."""

    manifest: Manifest
    rows: int
    missing: Mapping[str, int] = field(default_factory=dict)
    """How many rows had no value of their own, by feature."""
    dropped: int = 0


def join_features(request: Request) -> Joined:
    """Join and publish; raise Unusable or ArtifactError without publishing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parents = [request.definitions.fetch(folder / "definitions", "definitions", "code")]
        definitions = read_definitions(folder / "definitions" / FILE)
        selected = definitions.select(request.set_)
        parents.append(request.rows.fetch(folder / "rows", "rows", "dataset"))
        parents += fetch_sources(definitions, [each.view for each in selected], request.sources, folder)
        rows = read_rows(folder / "rows", definitions.keys(selected), request.time)
        _check_names(rows, selected, request.time)
        joined = _ask_feast(definitions, request.set_, rows, request.time, folder)
        columns, present, missing = _complete(joined, selected)
        if not request.drop_missing:
            _require_all(joined, selected, missing)
        kept = ~np.logical_or.reduce([np.zeros(len(rows), bool), *missing.values()])
        if not kept.any():
            raise Unusable(f"the join: none of {len(rows)} rows has all features, expected at least one")
        _write(folder / "out", rows[kept], {key: array[kept] for key, array in columns.items()}, request.time)
        counts = {key: int((~there).sum()) for key, there in present.items()}
        dropped = int((~kept).sum())
        manifest = publish(
            folder / "out", request.out_uri, kind="dataset", producer=PRODUCER, parents=parents,
            parameters={"set": request.set_, "rows": int(kept.sum()), "dropped": dropped, "missing": dict(counts)},
            retry_seconds=PUBLISH_SECONDS,
        )  # fmt: skip
    return Joined(manifest, int(kept.sum()), counts, dropped)


def _ask_feast(definitions: Definitions, set_: str, rows: pd.DataFrame, time: str, folder: Path) -> pd.DataFrame:
    """Return the rows with a column for each feature of the set, by Feast with a registry of its own."""
    places = {"registry": str(folder / "registry.db"), "online_store": {"type": "sqlite", "path": str(folder / "o.db")}}
    store = FeatureStore(config=build_config(places, definitions.project, folder))
    store.apply(build_objects(definitions, ""))
    entities = rows[list(definitions.keys(definitions.select(set_)))].assign(**{TIME: rows[time]})
    job = store.get_historical_features(entities, store.get_feature_service(set_), full_feature_names=True)
    return job.to_df()


def _complete(
    joined: pd.DataFrame, selected: list[Selected]
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Return the features' values, which of them the history had, and which are missing still, by column."""
    columns, present, missing = {}, {}, {}
    for each in selected:
        for column, _, feature in each.columns():
            values = joined[column].to_numpy(object)
            present[column] = joined[column].notna().to_numpy()
            columns[column], missing[column] = complete(feature, values, present[column])
    return columns, present, missing


def _require_all(joined: pd.DataFrame, selected: list[Selected], missing: dict[str, Array]) -> None:
    for each in selected:
        for column, name, _ in each.columns():
            if missing[column].any():
                first = joined.iloc[int(np.flatnonzero(missing[column])[0])]
                keys = describe_key({key: first[key] for key in each.definition.entities})
                raise Unusable(
                    f"{each.view}:{name}: {int(missing[column].sum())} of {len(joined)} rows have no value, the first "
                    f"is {keys} at {first[TIME].isoformat()}; expected a value for each, a default, or --missing drop"
                )


def _check_names(rows: pd.DataFrame, selected: list[Selected], time: str) -> None:
    if not len(rows):
        raise Unusable("entity rows: got no rows, expected at least one")
    if time == SPLIT:
        raise Unusable(f"entity rows: got {SPLIT} as the time, expected another column")
    for each in selected:
        for column, _, _ in each.columns():
            if column in rows:
                raise Unusable(f"entity rows: got a column {column}, which is a feature, expected another name")


def _write(out: Path, rows: pd.DataFrame, columns: dict[str, Array], time: str) -> None:
    """Write the table, and an archive of arrays for each split."""
    out.mkdir()
    rows = rows.reset_index(drop=True)
    rows.assign(**columns).to_parquet(out / TABLE, index=False)
    if SPLIT not in rows:
        return
    arrays = {name: _to_array(rows[name], name) for name in rows if name not in (time, SPLIT)}
    arrays |= {name: array.astype(str) if array.dtype == object else array for name, array in columns.items()}
    for split in rows[SPLIT].unique():
        if not isinstance(split, str) or not split.isidentifier():
            raise Unusable(f"entity rows: {SPLIT}: got {split!r}, expected names such as train and eval")
        there = (rows[SPLIT] == split).to_numpy()
        np.savez(out / f"{split}.npz", **{name: array[there] for name, array in arrays.items()})


def _to_array(column: pd.Series, name: str) -> Array:
    array: Array = column.to_numpy()
    if array.dtype == object:
        if not all(isinstance(value, str) for value in array):
            raise Unusable(f"entity rows: {name}: got values that are neither numbers nor texts")
        return np.asarray(array, np.str_)
    if array.dtype.kind not in "biuf":
        raise Unusable(f"entity rows: {name}: got {array.dtype}, expected numbers or texts next to {SPLIT}")
    return array
