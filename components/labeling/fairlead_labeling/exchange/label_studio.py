"""A project of Label Studio: tasks into it, annotations out of it, by its SDK."""

import base64
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any
from xml.sax.saxutils import quoteattr

import httpx
from fairlead_contracts.errors import ContractError, shorten
from fairlead_datasets.errors import Unusable
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

from ..documents import MAX_ITEMS, Annotation, Tasks, build
from ..errors import ServerUnavailable
from ..examples import Example
from ..gate import bound
from ..retries import retry
from ..urls import split_url
from .label_studio_tasks import StudioTask

TOKEN = "LABEL_STUDIO_API_KEY"
"""The variable with the token, as Label Studio's SDK names it; it is no argument, which all users of a machine see."""
_BATCH = 100
_MAX_PROJECTS = 100
"""How many projects whose titles have the project's in them are looked at."""


@dataclass(frozen=True)
class Studio:
    """A project, by its title."""

    url: str
    project: str
    retry_seconds: float

    def push(self, tasks: Tasks, examples: Sequence[Example]) -> int:
        """Create the project if there is none, and the tasks that it lacks; return their number.

        Raises Unusable, or ServerUnavailable: then trying again creates the rest.
        """
        return retry(lambda: self._push_once(tasks, examples), self.retry_seconds)

    def pull(self, tasks: Tasks) -> list[Annotation]:
        """Return the annotations; raise Unusable for tasks of another dataset, or ServerUnavailable."""
        found, problems = retry(lambda: self._list(tasks, None), self.retry_seconds), list[str]()
        annotations = []
        for task in found:
            for each in task.annotations:
                label = each.find_label()
                if label is None:
                    problems.append(f"task {task.id}: {each.annotator}: got {each.describe()}, expected one choice")
                elif label:
                    said = {"item": task.data.item, "annotator": each.annotator, "label": label}
                    annotations.append(build(Annotation, f"project {self.project}: task {task.id}", said))
        self._reject(problems)
        return annotations

    def _push_once(self, tasks: Tasks, examples: Sequence[Example]) -> int:
        with self._connected() as client:
            number = self._find(client)
            known = {task.data.item for task in self._list(tasks, number)} if number is not None else set()
            missing = [example for example in examples if example.item not in known]
            if number is None:
                config = _build_config(tasks.labels, examples)
                created: Any = client.projects.create(title=self.project, label_config=config)
                number = int(created.id)
            for start in range(0, len(missing), _BATCH):
                batch: Any = [{"data": _build_data(tasks, each)} for each in missing[start : start + _BATCH]]
                client.projects.import_tasks(number, request=batch)
        return len(missing)

    def _find(self, client: LabelStudio) -> int | None:
        """Return the number of the project."""
        projects: Iterable[Any] = client.projects.list(title=self.project)
        # the SDK asks for pages as long as there are some, which a server may say for ever
        listed = list(islice(projects, _MAX_PROJECTS + 1))
        if len(listed) > _MAX_PROJECTS:
            raise Unusable(f"{self.url}: more than {_MAX_PROJECTS} projects have {self.project} in their titles, "
                           "expected a title that is in fewer")  # fmt: skip
        found = list(dict.fromkeys(each.id for each in listed if each.title == self.project))
        if len(found) > 1 or not all(isinstance(number, int) for number in found):
            raise Unusable(f"{self.url}: got the projects {shorten(found)} named {self.project}, expected one")
        return int(found[0]) if found else None

    def _list(self, tasks: Tasks, number: int | None) -> list[StudioTask]:
        """Return the project's tasks; raise Unusable for those of another dataset."""
        found, problems, seen = [], [], set[int]()
        with self._connected() as client:
            number = self._find(client) if number is None else number
            if number is None:
                raise Unusable(f"{self.url}: has no project named {self.project}")
            pages: Iterable[Any] = client.tasks.list(project=number, fields="all", page_size=_BATCH)
            for each in pages:
                try:
                    task = StudioTask.parse(each.model_dump(mode="json"), "task")
                except ContractError as error:
                    raise Unusable(f"{self.url}: project {self.project}: {error}") from None
                if task.data.dataset != tasks.dataset.digest:
                    problems.append(f"task {task.id}: belongs to the dataset {task.data.dataset}, expected "
                                    f"{tasks.dataset.digest}")  # fmt: skip
                if task.id in seen:  # pages without an end
                    raise Unusable(f"{self.url}: project {self.project}: lists task {task.id} twice")
                seen.add(task.id)
                found.append(task)
                if len(found) > 2 * MAX_ITEMS:
                    raise Unusable(f"{self.url}: project {self.project}: got more than {2 * MAX_ITEMS:,} tasks")
        self._reject(problems)
        return found

    def _reject(self, problems: Sequence[str]) -> None:
        if problems:
            raise Unusable("\n".join(f"project {self.project}: {line}" for line in bound(problems)))

    @contextmanager
    def _connected(self) -> Iterator[LabelStudio]:
        """Yield a client; what it raises becomes Unusable or ServerUnavailable, without headers and the token."""
        token = os.environ.get(TOKEN, "").strip()
        if not token:
            raise Unusable(f"{TOKEN}: got nothing, expected a token of Label Studio")
        try:
            with httpx.Client(timeout=60, follow_redirects=False) as http:
                client: Any = LabelStudio  # its constructor has no types
                yield client(base_url=self.url, api_key=token, httpx_client=http, max_retries=0)
        except ApiError as error:
            body = error.body.get("detail", error.body) if isinstance(error.body, dict) else error.body
            text = f"{self.url}: answered {error.status_code}: {shorten(body)}".replace(token, "***")
            if error.status_code is not None and (error.status_code >= 500 or error.status_code in (408, 429)):
                raise ServerUnavailable(text) from None
            raise Unusable(text) from None
        except httpx.HTTPError as error:
            raise ServerUnavailable(f"{self.url}: {type(error).__name__}: {str(error)[:200]}") from None
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            # the SDK does not check what the server answers
            raise Unusable(f"{self.url}: its answer is none of Label Studio's: {str(error)[:200]}") from None


def parse_url(url: str) -> str:
    """Return a server's URL without the slash at its end; raise Unusable for any that is more than a place."""
    split_url(url, "--label-studio", "http(s)://host:port")
    return url.rstrip("/")


def _build_config(labels: Sequence[str], examples: Sequence[Example]) -> str:
    """Return what Label Studio shows: the example, and a choice of one label."""
    pictures = all(example.picture for example in examples)
    shown = '<Image name="example" value="$picture"/>' if pictures else '<Table name="example" value="$values"/>'
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    choice = f'<Choices name="label" toName="example" choice="single" required="true">{choices}</Choices>'
    return f"<View>{shown}{choice}</View>"


def _build_data(tasks: Tasks, example: Example) -> dict[str, Any]:
    data: dict[str, Any] = {"item": example.item, "dataset": tasks.dataset.digest}
    if example.picture:
        return {**data, "picture": f"data:image/png;base64,{base64.b64encode(example.picture).decode()}"}
    return {**data, "values": dict(example.values)}
