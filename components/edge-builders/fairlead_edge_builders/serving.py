"""Run a program of ExecuTorch for another process, which has no torch: frames come in, frames go out."""

from typing import Any, BinaryIO

import numpy as np
from fairlead_contracts.edge_builders import MAX_FRAME, pack, read_frame, unpack, write_frame, write_head
from fairlead_contracts.tensors import datatype_of

from .errors import first_line


def serve(requests: BinaryIO, replies: BinaryIO, threads: int) -> None:
    """Load the program in the first frame and answer a frame with an array by frames with the outputs, to the end."""
    import torch
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime, Verification

    model = read_frame(requests, MAX_FRAME)
    if model is None:
        return
    try:
        portable_lib._unsafe_reset_threadpool(threads)  # unsafe while models run: none does
        # the memory that a program names is inside the file only if it is verified
        program = Runtime.get().load_program(model, verification=Verification.InternalConsistency)
        method = program.load_method("forward")
        write_head(replies, _describe(method.metadata))
    except Exception as error:  # noqa: BLE001 - the runtime's exceptions have no other base
        write_head(replies, {"error": first_line(error)})
        return
    while (content := read_frame(requests, MAX_FRAME)) is not None:
        try:
            outputs = [value.numpy() for value in method.execute([torch.from_numpy(np.array(unpack(content)))])]
        except Exception as error:  # noqa: BLE001 - as above
            write_head(replies, {"error": first_line(error)})
            continue
        write_head(replies, {"outputs": len(outputs)})
        for output in outputs:
            write_frame(replies, pack(output))


def _describe(metadata: Any) -> dict[str, Any]:
    """Return the shapes and data types of inputs and outputs."""
    inputs = [metadata.input_tensor_meta(place) for place in range(metadata.num_inputs())]
    outputs = [metadata.output_tensor_meta(place) for place in range(metadata.num_outputs())]
    return {"inputs": list(map(_describe_tensor, inputs)), "outputs": list(map(_describe_tensor, outputs))}


def _describe_tensor(tensor: Any) -> dict[str, Any]:
    kind = {6: np.float32, 4: np.int64, 3: np.int32, 5: np.float16, 7: np.float64, 11: np.bool_}.get(tensor.dtype())
    datatype = datatype_of(np.zeros(0, kind)) if kind else str(tensor.dtype())
    return {"shape": list(tensor.sizes()), "datatype": datatype}
