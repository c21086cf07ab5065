"""The networks that a recipe can describe."""

from collections.abc import Sequence

from fairlead_datasets.errors import Unusable
from torch import nn

from .recipe import Student


def build_student(student: Student, shape: Sequence[int], classes: int) -> nn.Module:
    """Return the network for inputs [batch, *shape], with random weights, that returns logits [batch, classes]."""
    if -1 in shape:
        raise Unusable(f"model: got an input of shape {[-1, *shape]}, expected fixed sizes to build a student for")
    layers: list[nn.Module] = []
    if student.channels:
        if len(shape) != 3:
            got = f"{len(student.channels)} convolutions for an input of shape {[-1, *shape]}"
            raise Unusable(f"recipe: distill.student.channels: got {got}, expected none, or pictures [-1, c, h, w]")
        width, height, breadth = shape
        for channels in student.channels:
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
            width = channels
            if min(height, breadth) >= 2:
                layers.append(nn.MaxPool2d(2))
                height, breadth = height // 2, breadth // 2
        shape = (width, height, breadth)
    layers.append(nn.Flatten())
    width = 1
    for size in shape:
        width *= size
    for hidden in student.hidden:
        layers += [nn.Linear(width, hidden), nn.ReLU()]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, classes))
