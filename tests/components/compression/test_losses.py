"""The losses of distillation, against their published formulas written out with numpy."""

import math

import numpy as np
import pytest
import torch
from fairlead_compression.losses import FeatureLoss, distillation_loss, soft_target_loss

STUDENT = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
TEACHER = torch.tensor([[2.0, 0.0, -1.0], [1.0, 1.0, 4.0]])
LABELS = torch.tensor([0, 2])


def softmax(logits: torch.Tensor, temperature: float) -> np.ndarray:
    powers = np.exp(logits.double().numpy() / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_targets_are_hintons_cross_entropy_without_the_teachers_entropy(temperature: float) -> None:
    p, q = softmax(TEACHER, temperature), softmax(STUDENT, temperature)
    expected = temperature**2 * (-(p * np.log(q)).sum(axis=1) + (p * np.log(p)).sum(axis=1)).mean()
    assert soft_target_loss(STUDENT, TEACHER, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_equal_logits_cost_nothing() -> None:
    assert soft_target_loss(TEACHER, TEACHER, 3.0).item() == pytest.approx(0, abs=1e-6)


def test_gradients_of_soft_targets_do_not_shrink_with_the_temperature() -> None:
    # section 2.1 of the paper: at high temperatures the gradient is (z - v) / classes for logits of mean zero
    student = (STUDENT - STUDENT.mean(dim=1, keepdim=True)).requires_grad_()
    teacher = TEACHER - TEACHER.mean(dim=1, keepdim=True)
    soft_target_loss(student, teacher, 100.0).backward()
    expected = (student.detach() - teacher) / 3 / len(student)
    assert torch.allclose(student.grad, expected, rtol=0.05, atol=0.01)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_alpha_weighs_the_teacher_against_the_labels(alpha: float) -> None:
    hard = -math.log(softmax(STUDENT, 1)[0, 0]) / 2 - math.log(softmax(STUDENT, 1)[1, 2]) / 2
    soft = soft_target_loss(STUDENT, TEACHER, 2.0).item()
    loss = distillation_loss(STUDENT, TEACHER, LABELS, temperature=2.0, alpha=alpha)
    assert loss.item() == pytest.approx(alpha * soft + (1 - alpha) * hard, rel=1e-5)


def test_features_of_one_width_are_compared_as_they_are() -> None:
    loss = FeatureLoss(2, 2)
    assert loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])).item() == pytest.approx((1 + 4) / 2)
    assert not list(loss.parameters())


def test_narrower_features_are_mapped_and_the_teacher_gets_no_gradient() -> None:
    torch.manual_seed(0)
    loss = FeatureLoss(2, 3)
    student = torch.randn(4, 2, 5, 5, requires_grad=True)
    teacher = torch.randn(4, 3, 5, 5, requires_grad=True)
    value = loss(student, teacher)
    expected = torch.einsum("nchw,oc->nohw", student, loss.map.weight) - teacher
    assert value.item() == pytest.approx(expected.square().mean().item(), rel=1e-5)
    value.backward()
    assert student.grad is not None and teacher.grad is None


def test_features_of_other_sizes_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"got features of size \[5, 5\], expected the teacher's \[4, 4\]"):
        FeatureLoss(2, 2)(torch.zeros(1, 2, 5, 5), torch.zeros(1, 2, 4, 4))
