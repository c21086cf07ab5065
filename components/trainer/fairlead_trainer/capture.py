"""The state of a training: model, optimizer, scheduler, random numbers and what else a script names."""

import random
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch

State = dict[str, Any]


class Stateful(Protocol):
    """Anything with a state, such as a scheduler, a gradient scaler or a data loader."""

    def state_dict(self) -> State:
        """Return the state: tensors, numbers, strings, and lists and dictionaries of them."""

    def load_state_dict(self, state: State, /) -> Any:
        """Continue from a state."""


def capture(model: torch.nn.Module, optimizer: torch.optim.Optimizer | None, others: Mapping[str, Stateful]) -> State:
    """Return the state of a training, whose tensors change with it; every rank calls this."""
    if _is_distributed():
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

        # parts of sharded models are gathered on rank 0
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights, steps = get_state_dict(model, optimizer if optimizer is not None else (), options=options)
    else:
        weights, steps = model.state_dict(), optimizer.state_dict() if optimizer is not None else {}
    return {
        "model": weights,
        "optimizer": steps,
        "others": {name: other.state_dict() for name, other in others.items()},
    }


def restore(
    state: State, model: torch.nn.Module, optimizer: torch.optim.Optimizer | None, others: Mapping[str, Stateful]
) -> None:
    """Continue from a state; every rank calls this with the same one."""
    if set(others) != set(state["others"]):
        raise ValueError(f"others: got {sorted(others)}, expected those of the checkpoint, {sorted(state['others'])}")
    if _is_distributed():
        _restore_distributed(state, model, optimizer)
    else:
        model.load_state_dict(state["model"])
        if optimizer is not None:
            optimizer.load_state_dict(state["optimizer"])
    for name, other in others.items():
        other.load_state_dict(state["others"][name])


def _restore_distributed(state: State, model: torch.nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict, set_state_dict

    weights, steps, options = state["model"], state["optimizer"], StateDictOptions(full_state_dict=True)
    if optimizer is None or any(value is not None for own in steps["state"].values() for value in own.values()):
        optimizers = optimizer if optimizer is not None else ()
        set_state_dict(model, optimizers, model_state_dict=weights, optim_state_dict=steps, options=options)
        return
    # torch cannot restore an optimizer without tensors, such as SGD without momentum
    set_model_state_dict(model, weights, options=options)
    for group, saved in zip(optimizer.param_groups, steps["param_groups"], strict=True):
        group.update({name: value for name, value in saved.items() if name != "params"})


def capture_random() -> State:
    """Return the states of this process's generators of random numbers."""
    algorithm, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, next_gauss = random.getstate()
    state = {
        "torch": torch.get_rng_state(),
        "python": [version, list(internal), next_gauss],
        "numpy": [algorithm, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss],
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random(state: State) -> None:
    """Continue the generators of random numbers from their states."""
    torch.set_rng_state(state["torch"])
    version, internal, next_gauss = state["python"]
    random.setstate((version, tuple(internal), next_gauss))
    algorithm, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((algorithm, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


class Copier:
    """Copies states into memory of its own, which it uses again: fresh memory costs more than the copy."""

    def __init__(self) -> None:
        self._buffers: dict[str, torch.Tensor] = {}

    def copy(self, value: Any, path: str = "") -> Any:
        """Return a copy of a state in main memory; it is valid until the next call."""
        if isinstance(value, torch.Tensor):
            return self._copy_tensor(value, path)
        if isinstance(value, Mapping):
            return {_plain(key, f"{path}/{key}"): self.copy(item, f"{path}/{key}") for key, item in value.items()}
        if isinstance(value, list | tuple):
            items = [self.copy(item, f"{path}/{index}") for index, item in enumerate(value)]
            return items if isinstance(value, list) else tuple(items)
        return _plain(value, path)

    def _copy_tensor(self, tensor: torch.Tensor, path: str) -> torch.Tensor:
        known = self._buffers.get(path)
        if known is None or known.shape != tensor.shape or known.dtype != tensor.dtype:
            known = torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda)
            self._buffers[path] = known
        return known.copy_(tensor.detach())


def _plain(value: Any, path: str) -> Any:
    """Return a value that can be loaded again without unpickling; raise TypeError for any other."""
    if isinstance(value, np.generic):
        value = value.item()
    # not isinstance: an enumeration is a number that would have to be unpickled
    if value is not None and type(value) not in (bool, int, float, str):
        kind = type(value).__name__
        raise TypeError(f"{path[1:]}: got {kind}, expected tensors, numbers, strings, lists, tuples and dictionaries")
    return value


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
