"""Select uncertain examples, send them to annotators, and publish what these agree on as the dataset's next version.

Exits with 0 if it is done, 3 if the annotators do not agree enough or annotations are missing, 2 if files, data or
answers are not as expected, and 1 if a server or store failed, so that trying again may help.
"""

import sys

from fairlead_artifacts import ArtifactError, StoreUnavailable
from fairlead_artifacts.errors import LocalFileError
from fairlead_datasets.errors import Unusable

from .commands import COMMANDS
from .errors import ServerUnavailable
from .options import build_parser

_UNAVAILABLE, _UNUSABLE = 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run a command."""
    options = build_parser(__doc__ or "").parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except (StoreUnavailable, LocalFileError, ServerUnavailable) as error:
        sys.stderr.write(f"fairlead-labeling: {error}\n")
        return _UNAVAILABLE
    except (ArtifactError, Unusable) as error:
        sys.stderr.write("".join(f"fairlead-labeling: {line}\n" for line in str(error).splitlines()))
        return _UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
