"""Decision trees of scikit-learn, whose native code follows the indices in a file without checking them."""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConversionFailed

TREES = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
_LEAF = -1


def check_trees(model: object, file: str) -> None:
    """Raise ConversionFailed if a tree of a loaded model has an index out of bounds, or a cycle."""
    for tree, features in _find(model):
        kind = type(tree).__name__
        sound = _is_sound_tree(tree, features) if kind == "Tree" else _is_sound_predictor(tree, features)
        if not sound:
            raise ConversionFailed(f"{file}: got a {kind} with an index out of bounds, expected a fitted one")


def _is_sound_tree(tree: Any, features: int) -> bool:
    left, right, used = tree.children_left, tree.children_right, tree.feature
    leaf = left == _LEAF
    return _are_children_sound(left, right, leaf) and _is_within(used[~leaf], min(features, tree.n_features))


def _is_sound_predictor(tree: Any, features: int) -> bool:
    nodes = tree.nodes
    leaf = nodes["is_leaf"].astype(bool)
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    sets = min(len(tree.raw_left_cat_bitsets), len(tree.binned_left_cat_bitsets))
    categorical = nodes["is_categorical"].astype(bool) & ~leaf
    return (
        _are_children_sound(left, right, leaf)
        and _is_within(nodes["feature_idx"][~leaf], features)
        and _is_within(nodes["bitset_idx"][categorical], sets)
    )


def _are_children_sound(left: NDArray[Any], right: NDArray[Any], leaf: NDArray[Any]) -> bool:
    """Return whether each child is a node after its parent, as in every fitted tree."""
    own = np.arange(len(left))
    sides = ((side > own) & (side < len(left)) for side in (left, right))
    return len(left) > 0 and all(bool(side[~leaf].all()) for side in sides)


def _is_within(indices: NDArray[Any], limit: int) -> bool:
    return bool(((indices >= 0) & (indices < limit)).all())


def _find(model: object) -> Iterator[tuple[Any, int]]:
    """Yield the trees in a loaded object, each with the least number of features of the estimators around it."""
    seen, stack = set(), [(model, sys.maxsize)]
    while stack:
        item, features = stack.pop()
        if f"{type(item).__module__}.{type(item).__name__}" in TREES:
            yield item, features
            continue
        if isinstance(item, str | bytes | int | float | None) or (id(item), features) in seen:
            continue
        seen.add((id(item), features))
        fields: dict[str, Any] = {} if isinstance(item, type) else getattr(item, "__dict__", {})
        if type(count := fields.get("n_features_in_")) is int:
            features = min(features, count)
        stack.extend((child, features) for child in (*_list_items(item), *fields.values()))


def _list_items(item: object) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    if isinstance(item, np.ndarray):
        return item.ravel().tolist() if item.dtype.hasobject else []
    return list(item) if isinstance(item, list | tuple | set) else []
