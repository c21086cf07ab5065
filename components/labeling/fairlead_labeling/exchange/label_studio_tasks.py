"""What Label Studio answers, as far as it is read: its SDK passes on whatever a server says."""

from typing import Annotated, Any

from fairlead_contracts.base import Contract
from fairlead_contracts.errors import shorten
from pydantic import ConfigDict, Field

from ..documents import ItemId

_SKIPPED = ""
_CONTROL = "label"
_Number = Annotated[int, Field(ge=0, lt=1 << 63)]


class _Part(Contract):
    # its fields are in snake case
    model_config = ConfigDict(alias_generator=None)


class StudioUser(_Part):
    """A user, of whom only the number is read."""

    id: _Number


class StudioAnnotation(_Part):
    """What a user said of a task."""

    completed_by: _Number | StudioUser
    was_cancelled: bool | None = False
    result: tuple[dict[str, Any], ...] = Field((), max_length=1000, strict=False)

    @property
    def annotator(self) -> str:
        """The user, by the number and not the address: this is in reports and logs."""
        user = self.completed_by
        return f"user-{user.id if isinstance(user, StudioUser) else user}"

    def find_label(self) -> str | None:
        """Return the label, the empty text for a task that was skipped, and None for anything else."""
        if self.was_cancelled:
            return _SKIPPED
        values = [each.get("value") for each in self.result if each.get("from_name") == _CONTROL]
        choices = values[0].get("choices") if len(values) == 1 and isinstance(values[0], dict) else None
        one = isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], str) and len(choices[0]) <= 255
        return str(choices[0]) if choices and one else None

    def describe(self) -> str:
        """Return the result, shortened."""
        return shorten([each.get("value") for each in self.result])


class StudioData(_Part):
    """What the task is about, as it was sent."""

    item: ItemId
    dataset: str = Field(max_length=100)


class StudioTask(_Part):
    """A task with all its annotations."""

    id: int
    data: StudioData
    annotations: Annotated[tuple[StudioAnnotation, ...], Field(max_length=1000, strict=False)] = ()
