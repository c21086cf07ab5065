"""Every Dockerfile says what it starts from and copies only what is there."""

from pathlib import Path

import pytest
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.kind.images import COMPONENTS, Image


@pytest.mark.parametrize("name", COMPONENTS)
def test_dockerfile_starts_from_a_published_debian(name: str) -> None:
    assert Image(name, CHECKOUT / COMPONENTS[name] / "Dockerfile").suite in ("bookworm", "trixie")


@pytest.mark.parametrize("name", sorted(set(COMPONENTS) - {"pipelines"}))
def test_artifact_store_goes_into_all_images_but_that_of_the_pipelines(name: str) -> None:
    sources = Image(name, CHECKOUT / COMPONENTS[name] / "Dockerfile").sources
    assert CHECKOUT / "components" / "artifacts" in sources


def test_sources_are_the_repository_files_that_a_dockerfile_copies(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("COPY pyproject.toml operator /src/\nCOPY --from=build /opt/fairlead /opt/fairlead\n")
    assert Image("x", dockerfile).sources == [CHECKOUT / "pyproject.toml", CHECKOUT / "operator"]
