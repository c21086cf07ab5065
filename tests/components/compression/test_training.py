"""The training loop, and the networks of recipes."""

import pytest
import torch
from fairlead_compression import pruning
from fairlead_compression.recipe import Student, Training
from fairlead_compression.students import build_student
from fairlead_compression.training import train
from fairlead_datasets.errors import Unusable
from torch import nn
from torch.nn import functional

INPUTS = torch.randn(60, 2, generator=torch.Generator().manual_seed(3))
LABELS = (INPUTS.sum(dim=1) > 0).long()


def fit(training: Training, share: float = 0.0) -> nn.Module:
    torch.manual_seed(5)
    network = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    masks = pruning.choose_weights(network, share)
    pruning.apply(network, masks)
    train(
        network,
        [INPUTS],
        lambda logits, rows: functional.cross_entropy(logits, LABELS[rows]),
        training,
        lambda: pruning.apply(network, masks),
    )
    return network


def flat(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_training_learns_and_a_seed_determines_it() -> None:
    training = Training(epochs=40, batch_size=7, learning_rate=0.02, seed=1)
    first, second = fit(training), fit(training)
    assert (first(INPUTS).argmax(dim=1) == LABELS).float().mean() > 0.95
    assert torch.equal(flat(first), flat(second))
    assert not torch.equal(flat(first), flat(fit(training.model_copy(update={"seed": 2}))))


def test_pruned_weights_stay_zero_while_the_others_learn() -> None:
    untrained, trained = fit(Training(epochs=1, learning_rate=1e-9), 0.5), fit(Training(epochs=5), 0.5)
    assert ((flat(untrained) == 0) == (flat(trained) == 0)).all() and (flat(trained) == 0).sum() == 16
    assert not torch.allclose(flat(untrained), flat(trained))


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    network = nn.Linear(2, 2)
    with pytest.raises(Unusable, match=r"learningRate: got 0\.001, with which the loss is nan in epoch 1"):
        train(network, [INPUTS], lambda logits, _: logits.sum() * float("nan"), Training(epochs=1))


@pytest.mark.parametrize(
    ("student", "shape", "parameters", "why"),
    [
        (Student(hidden=(3,)), (4,), 4 * 3 + 3 + 3 * 2 + 2, "a table"),
        (Student(), (1, 2, 2), 4 * 2 + 2, "softmax regression on pixels"),
        (Student(channels=(2, 3)), (1, 8, 8), 20 + 57 + 3 * 4 * 2 + 2, "each convolution halves 8 x 8"),
        (Student(channels=(2, 3)), (1, 2, 9), 20 + 57 + 3 * 4 * 2 + 2, "a height of 1 is not halved"),
    ],
)
def test_students_have_the_layers_of_the_recipe(
    student: Student, shape: tuple[int, ...], parameters: int, why: str
) -> None:
    network = build_student(student, shape, classes=2)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters, why
    assert network(torch.zeros(5, *shape)).shape == (5, 2)


def test_convolutions_need_pictures() -> None:
    with pytest.raises(Unusable, match=r"distill.student.channels: got 1 convolutions .* \[-1, 4\], expected none"):
        build_student(Student(channels=(2,)), (4,), classes=2)
