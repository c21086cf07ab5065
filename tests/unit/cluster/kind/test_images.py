"""Every Dockerfile names its bases and copies only existing files."""

from pathlib import Path

import pytest
from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.kind.bases import Base, find_bases
from fairlead_cluster.kind.docker import copied_sources
from fairlead_cluster.kind.images import (
    component_build,
    component_images,
    default_image_names,
    image_names,
    node_groups,
)

COMPONENTS = component_images()


@pytest.mark.parametrize("name", COMPONENTS)
def test_dockerfile_starts_from_shared_bases_on_a_published_debian(name: str) -> None:
    bases = find_bases(COMPONENTS[name].dockerfile)
    assert {base.suite for base in bases} in ({"bookworm"}, {"trixie"})
    dockerfile = (CHECKOUT / "cluster" / "images" / "Dockerfile").read_text()
    assert all(f" AS {base.target}\n" in dockerfile for base in bases)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_is_built_for_the_published_debian_and_for_ours(name: str) -> None:
    published, ours = component_build(COMPONENTS[name], True), component_build(COMPONENTS[name], False)
    assert published.tag == ours.tag
    assert published.key != ours.key


@pytest.mark.parametrize("target", ["python", "torch", "build"])
def test_a_base_is_built_on_the_published_debian_of_its_suite(target: str) -> None:
    build = Base(target, "trixie").build(published=True)
    assert (build.tag, build.target) == (f"fairlead/base:{target}-trixie", target)
    assert build.arguments == {"BASE": "debian:trixie-slim"}


def test_a_dockerfile_without_a_shared_base_is_rejected(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\n")
    with pytest.raises(SetupError, match="no line `FROM fairlead/base:<target>-<suite>`"):
        find_bases(dockerfile)


# Seldon's wrapper is an image without a program of ours
@pytest.mark.parametrize("name", sorted(COMPONENTS.keys() - {"seldon-node"}))
def test_artifact_store_goes_into_all_images_of_ours(name: str) -> None:
    assert CHECKOUT / "components" / "artifacts" in copied_sources(COMPONENTS[name].dockerfile)


@pytest.mark.parametrize("name", COMPONENTS)
def test_an_image_holds_the_packages_that_its_component_imports(name: str) -> None:
    sources = copied_sources(COMPONENTS[name].dockerfile)
    packages = [package for item in COMPONENTS[name].imports for package in item.packages]
    missing = [package for package in packages if not any(package.is_relative_to(source) for source in sources)]
    assert not missing


def test_sources_are_the_repository_files_that_a_dockerfile_copies(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("COPY pyproject.toml operator /src/\nCOPY --from=build /opt/fairlead /opt/fairlead\n")
    assert copied_sources(dockerfile) == [CHECKOUT / "pyproject.toml", CHECKOUT / "operator"]


def test_a_dockerfile_that_copies_what_is_missing_is_rejected(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("COPY no/such/file /src/\n")
    with pytest.raises(SetupError, match=r"copies .*/no/such/file, which does not exist"):
        copied_sources(dockerfile)


def test_nodes_hold_only_what_runs_in_the_cluster() -> None:
    groups = node_groups([*COMPONENTS, "minio"])
    loaded = [name for names in groups.values() for name in names]
    assert {"operator", "trainer", "graph-server", "minio"} <= set(loaded)
    assert "pipelines" in loaded, "its steps run in pods of Kubeflow Pipelines"
    assert "edge-runtime" not in loaded
    assert len(loaded) == len(set(loaded))


def test_images_of_one_suite_are_sent_together() -> None:
    groups = node_groups(["minio", "trainer", "operator", "onnx-converter", "graph-server"])
    assert groups == {
        "minio": ["minio"],
        "trixie": ["trainer", "onnx-converter"],
        "bookworm": ["operator", "graph-server"],
    }


def test_optional_images_are_built_only_if_they_are_named() -> None:
    assert set(image_names()) - set(default_image_names()) == {
        "compression", "feature-store", "graph-server-cuda", "labeling", "trainer-cuda", "versioning"
    }  # fmt: skip
