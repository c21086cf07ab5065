"""The digits' network made smaller from end to end: artifacts in, an artifact out."""

from fairlead_artifacts import fetch, read_manifest
from fairlead_compression.pruning import find_weights
from fairlead_datasets.torch_programs import load_program

from .conftest import Desk

DISTILL = "distill: {student: {channels: [16, 32], hidden: [64]}, epochs: 15, learningRate: 0.004}\n"
PRUNE = "prune: {share: 0.5, epochs: 2}\n"
PARENTS = {"model": "model", "dataset": "digits"}


def test_a_student_of_a_fraction_of_the_parameters_keeps_the_teachers_accuracy(desk: Desk) -> None:
    assert desk.run(DISTILL) == 0, desk.errors()
    before, after = desk.result()["before"], desk.result()["after"]
    assert before["accuracy"] > 0.95 and before["parameters"] == 38_282
    assert after["parameters"] <= 0.6 * before["parameters"] and after["bytes"] < 0.6 * before["bytes"]
    assert after["accuracy"] >= 0.97 * before["accuracy"]


def test_half_of_the_weights_are_pruned_and_the_others_fine_tuned(desk: Desk) -> None:
    assert desk.run(PRUNE) == 0, desk.errors()
    before, after = desk.result()["before"], desk.result()["after"]
    program, _ = load_program(desk.out)
    zeros = sum(int((weight == 0).sum()) for _, weight in find_weights(program.module()))
    weights = before["parameters"] - 16 - 32 - 64 - 10  # without biases
    assert zeros == round(weights / 2)
    assert after["parameters"] == before["parameters"] and after["nonzero_parameters"] <= before["parameters"] - zeros
    assert after["accuracy"] >= 0.97 * before["accuracy"]


def test_structured_pruning_zeroes_channels_of_hidden_layers(desk: Desk) -> None:
    assert desk.run("prune: {share: 0.25, structured: true, epochs: 3}\nmaxDrop: 0.05\n") == 0, desk.errors()
    weights = dict(find_weights(load_program(desk.out)[0].module()))
    gone = {name: int((weight.flatten(1) == 0).all(dim=1).sum()) for name, weight in weights.items()}
    assert gone == {"0.weight": 4, "2.weight": 8, "6.weight": 16, "8.weight": 0}


def test_the_artifact_names_its_parents_its_recipe_and_its_figures(desk: Desk) -> None:
    assert desk.run(PRUNE) == 0, desk.errors()
    manifest = read_manifest(desk.out.as_uri(), desk.result()["digest"])
    parents = {parent.name: parent.digest for parent in manifest.parents}
    assert manifest.kind == "model"
    assert parents == {name: read_manifest((desk.store / at).as_uri()).digest for name, at in PARENTS.items()}
    assert manifest.parameters["recipe"]["prune"]["share"] == 0.5
    assert manifest.parameters["split"] == "eval" and manifest.parameters["examples"] == 300
    assert {name: manifest.parameters[name] for name in ("before", "after")} == {
        name: desk.result()[name] for name in ("before", "after")
    }
    assert manifest.signature is not None and manifest.signature.outputs[0].name == "logits"


def test_equal_recipes_give_equal_weights(desk: Desk) -> None:
    states = []
    for name in ("first", "second"):
        assert desk.run(PRUNE) == 0, desk.errors()
        fetch(desk.out.as_uri(), desk.folder / name)
        states.append(load_program(desk.folder / name)[0].state_dict)
        desk.out.rename(desk.folder / f"published-{name}")
    assert all((states[0][name] == states[1][name]).all() for name in states[0])


def test_nothing_is_published_over_the_budget(desk: Desk) -> None:
    assert desk.run("prune: {share: 0.99, epochs: 1, learningRate: 0.000001}\nmaxDrop: 0.02\n") == 2
    message = desk.errors()
    assert "nothing was published: recipe: maxDrop: the accuracy fell by" in message
    assert "expected at most 0.02" in message
