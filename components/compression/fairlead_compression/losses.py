"""The losses of knowledge distillation: a student learns what its teacher returns, not the labels alone."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def soft_target_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the divergence of the student's softened classes from the teacher's, for logits [batch, classes].

    G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network" (2015): T^2 * KL(p || q), where p
    and q are the softmax of the teacher's and the student's logits over T, averaged over the batch. The factor keeps
    the size of the gradients whatever T is. It differs from the paper's cross-entropy by the teacher's entropy, which
    is constant: for equal logits it is 0.
    """
    p = functional.log_softmax(teacher / temperature, dim=1)
    q = functional.log_softmax(student / temperature, dim=1)
    return functional.kl_div(q, p, reduction="batchmean", log_target=True) * temperature**2


def distillation_loss(student: Tensor, teacher: Tensor, labels: Tensor, *, temperature: float, alpha: float) -> Tensor:
    """Return alpha * soft targets + (1 - alpha) * cross-entropy with the labels, int64 [batch]."""
    soft = soft_target_loss(student, teacher, temperature)
    return alpha * soft + (1 - alpha) * functional.cross_entropy(student, labels)


class FeatureLoss(nn.Module):
    """The mean squared error of a student's features, [batch, width, …], against its teacher's.

    A. Romero et al., "FitNets: Hints for Thin Deep Nets" (2015). Where the widths differ, a linear map that is learnt
    with the student (a convolution of size 1 for pictures) leads from one to the other; the student does not keep it.
    """

    def __init__(self, student_width: int, teacher_width: int) -> None:
        super().__init__()
        same = student_width == teacher_width
        self.map: nn.Module = nn.Identity() if same else nn.Linear(student_width, teacher_width, bias=False)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the error; the sizes behind the width must be equal."""
        if student.shape[2:] != teacher.shape[2:]:
            got, expected = list(student.shape[2:]), list(teacher.shape[2:])
            raise ValueError(f"student: got features of size {got}, expected the teacher's {expected}")
        mapped = self.map(torch.movedim(student, 1, -1)).movedim(-1, 1)
        return functional.mse_loss(mapped, teacher.detach())
