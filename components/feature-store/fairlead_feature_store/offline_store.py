"""Feast's offline store on files, with a join that uses only what was known at the time (history.py).

Feast's own (feast.infra.offline_stores.dask) uses rows that were not known yet unless it is told not to, drops entity
rows whose whole history is in their future or older than the ttl, keeps one of several rows of one entity at one time,
and holds every pair of an entity row and a row of its history in memory.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores.dask import DaskOfflineStore, DaskOfflineStoreConfig, DaskRetrievalJob
from feast.infra.offline_stores.file_source import FileSource
from feast.repo_config import RepoConfig
from numpy.typing import NDArray

from .history import join, latest
from .sources import read_history
from .stores import get_source

TIME = "event_timestamp"
"""The column of entity rows by which they are joined."""


class KnownThenOfflineStoreConfig(DaskOfflineStoreConfig):
    """The configuration, by which Feast finds the store."""

    type: str = "fairlead_feature_store.offline_store.KnownThenOfflineStore"  # type: ignore[assignment]


class KnownThenJob(DaskRetrievalJob):  # type: ignore[misc, unused-ignore]
    """A table that is computed when it is asked for."""

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:  # noqa: ARG002
        return self.evaluation_function()

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002
        return pa.Table.from_pandas(self.evaluation_function(), preserve_index=False)


class KnownThenOfflineStore(DaskOfflineStore):  # type: ignore[misc, unused-ignore]
    """The offline store."""

    supports_filter_by_created_timestamp = True  # it never does otherwise

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame,
        registry: Any,  # noqa: ARG004
        project: str,  # noqa: ARG004
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = True,  # noqa: ARG004
        **_: Any,
    ) -> KnownThenJob:
        """Return the entity rows with what was known at their time; raise Unusable when it is computed."""

        def evaluate() -> pd.DataFrame:
            columns: dict[str, Any] = {}
            for view in feature_views:
                wanted = [ref.partition(":")[2] for ref in feature_refs if ref.partition(":")[0] == view.name]
                columns |= _join_view(config, view, wanted, entity_df, full_feature_names)
            return pd.concat([entity_df.reset_index(drop=True), pd.DataFrame(columns)], axis=1)

        return KnownThenJob(evaluate, full_feature_names, str(config.repo_path))

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime | None = None,  # noqa: ARG004 - of the latest rows, none is too old to be known
        end_date: datetime | None = None,
    ) -> KnownThenJob:
        """Return the row of each entity that counts at `end_date`."""
        assert isinstance(data_source, FileSource) and end_date is not None

        def evaluate() -> pd.DataFrame:
            history = read_history(_folder(config), data_source, join_key_columns, feature_name_columns)
            found = latest(history, join_key_columns, pd.Timestamp(end_date))
            times = [name for name in (timestamp_field, created_timestamp_column) if name]
            return found[[*join_key_columns, *feature_name_columns, *times]].reset_index(drop=True)

        return KnownThenJob(evaluate, False, str(config.repo_path))


def _join_view(
    config: RepoConfig, view: FeatureView, features: Sequence[str], rows: pd.DataFrame, full: bool
) -> dict[str, Any]:
    """Return a view's columns for entity rows, null where nothing counts."""
    history = read_history(_folder(config), get_source(view), view.join_keys, features)
    places = join(rows, TIME, history, view.join_keys, pd.Timedelta(view.ttl) if view.ttl else None)
    columns = {}
    for name in features:
        # one more, at the position -1, for the rows that found none
        values: NDArray[Any] = np.append(history[name].to_numpy(object), [None])
        columns[f"{view.name}__{name}" if full else name] = values[places]
    return columns


def _folder(config: RepoConfig) -> Path:
    assert config.repo_path is not None  # build_config sets it
    return config.repo_path
