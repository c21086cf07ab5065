"""Point-in-time joins on tables: what was known of each entity at a time. Pure.

A row has an event time, when what it describes happened, and a time at which it was known. At a time t, the row that
counts is the latest event among those that had happened and were known by then; of several rows of one event, the one
that was known last.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray

EVENT, CREATED, KNOWN, RANK = "__event", "__created", "__known", "__rank"
"""Columns of a history: when, since when it is known, since when it counts (the later of the two), and its order."""


def as_known(history: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the rows that count from some time on, sorted by it.

    A row that became known after a later event's never counts. Where two rows of one event were known at the same
    time, the later one in the file counts. Of two forecasts of an event, which count from it on, the newer one does.
    """
    ordered = history.sort_values([EVENT, CREATED], kind="stable")
    ordered[RANK] = np.arange(len(ordered))
    ordered = ordered.sort_values([KNOWN, RANK], kind="stable")
    newest = ordered.groupby(list(keys), sort=False)[RANK].cummax()
    return ordered[ordered[RANK] == newest]


def latest(history: pd.DataFrame, keys: Sequence[str], until: pd.Timestamp) -> pd.DataFrame:
    """Return the row of each entity that counts at a time."""
    known = as_known(history[history[KNOWN] <= until], keys)
    return known.drop_duplicates(list(keys), keep="last")


def join(
    rows: pd.DataFrame, time: str, history: pd.DataFrame, keys: Sequence[str], ttl: pd.Timedelta | None
) -> NDArray[np.int64]:
    """Return for each entity row the position of the history's row that counts at its time.

    It is -1 where there is none, or where its event is older than `ttl`.
    """
    places = rows[[*keys, time]].assign(__place=np.arange(len(rows))).sort_values(time, kind="stable")
    known = as_known(history.assign(__row=np.arange(len(history))), keys)[[*keys, EVENT, KNOWN, "__row"]]
    joined = pd.merge_asof(places, known, left_on=time, right_on=KNOWN, by=list(keys)).sort_values("__place")
    found = joined["__row"].notna()
    if ttl is not None:
        found &= joined[time] - joined[EVENT] <= ttl
    places_found: NDArray[np.int64] = joined["__row"].where(found, -1).to_numpy(np.int64)
    return places_found
