"""The compression: fetch model and dataset, distill or prune, measure, and publish a model artifact."""

import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from fairlead_artifacts import PUBLISH_SECONDS, Manifest, Parent, fetch, parse_uri, publish
from fairlead_contracts.signature import FILE as SIGNATURE_FILE
from fairlead_contracts.signature import Signature
from fairlead_datasets.errors import Unusable
from fairlead_datasets.splits import Affine
from fairlead_datasets.torch_programs import PROGRAM_FILE, load_program
from torch.export import ExportedProgram
from torch.nn import functional

from . import __version__, pruning
from .classifiers import Examples, Figures, count_classes, load_examples, measure, predict
from .losses import distillation_loss
from .recipe import Distill, Prune, Recipe
from .students import build_student
from .training import train

PRODUCER = f"fairlead-compression/{__version__}"


class OverBudget(Exception):
    """The smaller model is less accurate than the recipe allows. Nothing is published."""


@dataclass(frozen=True)
class Request:
    """The model to make smaller, and how; artifacts are a URI and, if it is pinned, a digest."""

    recipe: Recipe
    model: tuple[str, str | None]
    dataset: tuple[str, str | None]
    out_uri: str
    affine: Affine
    train_split: str = "train"
    split: str = "eval"
    """The held-out split, on which both models are measured."""


@dataclass(frozen=True)
class Compressed:
    """What was published, and what the step has changed."""

    manifest: Manifest
    before: Figures
    after: Figures


def compress(request: Request) -> Compressed:
    """Compress, measure, publish; raise OverBudget, Unusable or ArtifactError without publishing."""
    parse_uri(request.out_uri)  # before the work, so that a wrong one costs none
    if request.train_split == request.split:
        raise Unusable(f"split: got {request.split!r} to train on and to measure on, expected two splits")
    with tempfile.TemporaryDirectory() as folder:
        model, data, out = Path(folder, "model"), Path(folder, "data"), Path(folder, "out")
        parents = [
            Parent("model", fetch(*_place(request.model, model), "model").digest, request.model[0]),
            Parent("dataset", fetch(*_place(request.dataset, data), "dataset").digest, request.dataset[0]),
        ]
        program, signature = load_program(model)
        training, held_out = (
            load_examples(data, name, signature, request.affine) for name in (request.train_split, request.split)
        )
        before = measure(program.module(), held_out, model / PROGRAM_FILE)
        smaller = _apply(request.recipe, program, signature, training)
        out.mkdir()
        torch.export.save(smaller, out / PROGRAM_FILE)
        shutil.copyfile(model / SIGNATURE_FILE, out / SIGNATURE_FILE)
        after = measure(load_program(out)[0].module(), held_out, out / PROGRAM_FILE)  # what readers will get
        _check_budget(request.recipe, before, after)
        manifest = publish(
            out,
            request.out_uri,
            kind="model",
            producer=PRODUCER,
            parents=parents,
            parameters={
                **_describe(request),
                "examples": len(held_out.labels),
                "before": asdict(before),
                "after": asdict(after),
            },
            signature=signature,
            retry_seconds=PUBLISH_SECONDS,
        )
    return Compressed(manifest, before, after)


def _describe(request: Request) -> dict[str, Any]:
    """Return what the manifest says of a request beside its artifacts."""
    recipe = request.recipe.model_dump(mode="json", exclude_none=True)
    return {"recipe": recipe, "trainSplit": request.train_split, "split": request.split, **asdict(request.affine)}


def _place(artifact: tuple[str, str | None], folder: Path) -> tuple[str, Path, str | None]:
    return artifact[0], folder, artifact[1]


def _apply(recipe: Recipe, program: ExportedProgram, signature: Signature, training: Examples) -> ExportedProgram:
    if recipe.distill:
        return distill(recipe.distill, program, signature, training)
    if recipe.prune:
        return prune(recipe.prune, program, signature, training)
    raise AssertionError("a recipe has one step")


def distill(step: Distill, teacher: ExportedProgram, signature: Signature, training: Examples) -> ExportedProgram:
    """Train a student, from random weights, on what the teacher returns; return it as a program of the same signature.

    Raises Unusable if the teacher has other inputs or outputs than a student can have, or no more parameters.
    """
    if len(signature.inputs) != 1 or len(signature.outputs) != 1 or signature.inputs[0].dtype != "FP32":
        sides = (signature.inputs, signature.outputs)
        inputs, outputs = (", ".join(f"{tensor.name} {tensor.dtype}" for tensor in side) for side in sides)
        got = f"inputs {inputs} and outputs {outputs}"
        raise Unusable(f"model: got {got}, expected one input of FP32 and one output, as a student has")
    torch.manual_seed(step.seed)
    student = build_student(step.student, list(training.inputs[0].shape[1:]), count_classes(signature))
    network = teacher.module()
    sizes = [sum(parameter.numel() for parameter in each.parameters()) for each in (student, network)]
    if sizes[0] >= sizes[1]:
        raise Unusable(
            f"recipe: distill.student: got {sizes[0]:,} parameters, expected fewer than the teacher's {sizes[1]:,}"
        )
    targets = predict(network, training.inputs)

    def loss(scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        labels = training.labels[rows]
        return distillation_loss(scores, targets[rows], labels, temperature=step.temperature, alpha=step.alpha)

    train(student, training.inputs, loss, step)
    batch = torch.export.Dim("batch")
    example = training.inputs[0][:1].expand(2, *training.inputs[0].shape[1:]).contiguous()
    return torch.export.export(student.eval(), (example,), dynamic_shapes=({0: batch},), strict=False)


def prune(step: Prune, program: ExportedProgram, signature: Signature, training: Examples) -> ExportedProgram:
    """Set weights of a program to zero, and train the others; return the program, of which only values have changed."""
    network = program.module()
    classes = count_classes(signature)
    if step.structured:
        masks = pruning.choose_channels(network, step.share, classes)
    else:
        masks = pruning.choose_weights(network, step.share)
    if not masks:
        raise Unusable(f"recipe: prune.share: got {step.share:g} of a model without weights that can be pruned")
    pruning.apply(network, masks)

    def loss(scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(scores, training.labels[rows])

    train(network, training.inputs, loss, step, lambda: pruning.apply(network, masks))
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name in program.state_dict:
                program.state_dict[name].copy_(value)
    return program


def _check_budget(recipe: Recipe, before: Figures, after: Figures) -> None:
    drop = before.accuracy - after.accuracy
    if drop > recipe.max_drop + 1e-9:
        raise OverBudget(
            f"recipe: maxDrop: the accuracy fell by {drop:.4f}, from {before.accuracy:.4f} to {after.accuracy:.4f}, "
            f"expected at most {recipe.max_drop:g}"
        )
