"""Mapping of images to environments."""

from pathlib import Path

import pytest
from fairlead_cluster.local.node.images import Images, ImageUnknown, repository


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("fairlead/trainer:0.1.0", "fairlead/trainer"),
        ("fairlead/trainer", "fairlead/trainer"),
        ("fairlead/trainer@sha256:00", "fairlead/trainer"),
        ("docker.io/fairlead/trainer:1", "fairlead/trainer"),
        ("localhost:5000/fairlead/trainer:1", "localhost:5000/fairlead/trainer"),
    ],
)
def test_a_repository_has_neither_tag_nor_digest(image: str, name: str) -> None:
    assert repository(image) == name


@pytest.fixture
def images(tmp_path: Path) -> Images:
    (tmp_path / "trainer" / "bin").mkdir(parents=True)
    (tmp_path / "half-made").mkdir()
    return Images(tmp_path, {"my/other": Path("/opt/other")})


def test_our_images_are_environments_of_that_name(images: Images, tmp_path: Path) -> None:
    assert images.environment("fairlead/trainer:0.1.0") == tmp_path / "trainer"


def test_additional_images_come_from_the_configuration(images: Images) -> None:
    assert images.environment("my/other:2") == Path("/opt/other")


@pytest.mark.parametrize(
    "image", ["nginx", "fairlead/half-made:1", "fairlead/../trainer", "localhost:5000/fairlead/trainer:1", "trainer"]
)
def test_other_images_are_rejected(images: Images, image: str) -> None:
    with pytest.raises(ImageUnknown, match=f"image '{image}'"):
        images.environment(image)
