"""Packages: a release in one file, or a patch of another one, on a device that trusts nothing of it."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard
from fairlead_artifacts import ArtifactError
from fairlead_artifacts.signing import make_keys
from fairlead_edge.device.folder import Folder
from fairlead_edge.device.installing import Trust, install
from fairlead_edge.device.slots import Slots
from fairlead_edge.errors import InvalidBundle
from fairlead_edge.main import main

from tests.support import networks
from tests.support.edge_devices import Device, Release, publish_release


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    """Return a device whose server is ended after the test."""
    device = Device(tmp_path / "state", tmp_path / "server.log")
    yield device
    device.stop()


def pack(release: Release, out: Path, *more: str) -> Path:
    assert main(["pack", "--bundle", release.uri, "--out", str(out), *more]) == 0
    return out


def test_a_package_brings_a_release_to_a_device(device: Device, tmp_path: Path) -> None:
    one = publish_release(tmp_path / "store", 1)
    package = pack(one, tmp_path / "one.fairlead")
    assert package.read_bytes() == pack(one, tmp_path / "again.fairlead").read_bytes()
    run = device.run("install", "--bundle", str(package), "--digest", one.digest)
    assert (run.returncode, run.stdout) == (0, f"offered version 1 ({one.digest})\n")
    device.start()
    device.wait(one)
    assert not (device.state / "unpacked").exists()


def test_a_package_carries_signatures(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, public = make_keys(tmp_path / "keys")
    _, other = make_keys(tmp_path / "others")
    monkeypatch.setenv("FAIRLEAD_SIGNING_KEY_FILE", str(private))
    one = publish_release(tmp_path / "store", 1)
    monkeypatch.delenv("FAIRLEAD_SIGNING_KEY_FILE")
    signed = pack(one, tmp_path / "signed.fairlead", "--public-key", str(public))
    unsigned = pack(one, tmp_path / "unsigned.fairlead")
    assert device.run("install", "--bundle", str(unsigned), "--public-key", str(public)).returncode == 2
    assert device.run("install", "--bundle", str(signed), "--public-key", str(other)).returncode == 2
    assert device.run("install", "--bundle", str(signed), "--public-key", str(public)).returncode == 0
    assert main(["pack", "--bundle", one.uri, "--public-key", str(other), "--out", str(tmp_path / "no")]) == 1


def test_a_patch_is_small_and_needs_the_release_that_it_is_of(tmp_path: Path) -> None:
    """Two releases of a larger network, of which the last layer was trained again."""
    weights = {**networks.make_weights(), "w1": np.random.default_rng(1).normal(size=(networks.SIZE, 20_000))}
    weights |= {"b1": np.zeros(20_000), "w2": np.random.default_rng(2).normal(size=(20_000, networks.CLASSES))}
    store = tmp_path / "store"
    one = publish_release(store, 1, model=networks.network(weights), cases=False)
    changed = weights | {"b2": np.ones(networks.CLASSES)}
    two = publish_release(store, 2, model=networks.network(changed), cases=False)
    whole = pack(two, tmp_path / "whole.fairlead")
    patch = pack(two, tmp_path / "patch.fairlead", "--base", one.uri)
    assert patch.stat().st_size < whole.stat().st_size / 50
    folder = Folder(tmp_path / "state")
    with pytest.raises(InvalidBundle, match=f"is a patch of {one.digest}, which this device does not have"):
        install(folder, str(patch), Trust(two.digest))
    install(folder, one.uri, Trust(one.digest))
    install(folder, str(patch), Trust(two.digest))
    assert folder.open(two.digest).files["model.onnx"] == networks.network(changed)
    # what is on the device is not what the patch is of
    other = publish_release(store, 3, model=networks.network(weights | {"b2": np.zeros(networks.CLASSES)}), cases=False)
    wrong = pack(other, tmp_path / "wrong.fairlead", "--base", one.uri)
    file = folder.place(one.digest) / "model.onnx"
    file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises((InvalidBundle, ArtifactError), match=r"model\.onnx"):
        install(folder, str(wrong), Trust(other.digest))
    assert folder.read_offer() is not None
    assert not folder.place(other.digest).exists()


def test_every_flipped_byte_of_a_package_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    one = publish_release(tmp_path / "store", 1)
    package = pack(one, tmp_path / "one.fairlead")
    content, folder = package.read_bytes(), Folder(tmp_path / "state")
    random = np.random.default_rng(3)
    for place in sorted({*range(0, 1024, 7), *random.integers(0, len(content), 400).tolist()}):
        changed = bytearray(content)
        changed[place] ^= 1 << int(random.integers(8))
        package.write_bytes(changed)
        try:
            install(folder, str(package), Trust(one.digest))
        except (InvalidBundle, ArtifactError):
            assert folder.read_offer() is None
        else:  # an unused byte of the archive
            assert folder.open(one.digest).digest == one.digest
            folder = Folder(tmp_path / f"state-{place}")


@pytest.mark.parametrize("length", [0, 1, 511, 512, 1024, 1600, 3000])
def test_a_truncated_package_is_rejected(tmp_path: Path, length: int) -> None:
    one = publish_release(tmp_path / "store", 1)
    package = pack(one, tmp_path / "one.fairlead")
    package.write_bytes(package.read_bytes()[:length])
    with pytest.raises(InvalidBundle):
        install(Folder(tmp_path / "state"), str(package), Trust(one.digest))


def change(package: Path, **members: bytes) -> None:
    """Replace members of a package; keys have __ for a slash."""
    with tarfile.open(package) as archive:
        found = {each.name: archive.extractfile(each) for each in archive.getmembers()}
        contents = {name: file.read() for name, file in found.items() if file}
    contents |= {name.replace("__", "/"): content for name, content in members.items()}
    with tarfile.open(package, "w") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_a_file_that_decompresses_to_more_than_the_manifest_says_is_rejected(tmp_path: Path) -> None:
    one = publish_release(tmp_path / "store", 1)
    package = pack(one, tmp_path / "one.fairlead")
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 30))
    change(package, **{"files/model.onnx": bomb})
    with pytest.raises(InvalidBundle, match="got more than"):
        install(Folder(tmp_path / "state"), str(package), Trust(one.digest))


def test_an_archive_of_links_or_of_too_many_files_is_rejected(tmp_path: Path) -> None:
    link, many = tmp_path / "link.fairlead", tmp_path / "many.fairlead"
    with tarfile.open(link, "w") as archive:
        member = tarfile.TarInfo("package.json")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with tarfile.open(many, "w") as archive:
        for number in range(300):
            archive.addfile(tarfile.TarInfo(str(number)))
    for package, problem in ((link, "plain files alone"), (many, "more than 256 files")):
        with pytest.raises(InvalidBundle, match=problem):
            install(Folder(tmp_path / "state"), str(package), Trust("sha256:" + "0" * 64))


def test_a_package_with_a_size_of_2_to_the_80_or_a_name_twice_is_rejected(tmp_path: Path) -> None:
    large, twice = tmp_path / "large.fairlead", tmp_path / "twice.fairlead"
    with tarfile.open(large, "w") as archive:
        archive.addfile(tarfile.TarInfo("package.json"))
    header = bytearray(large.read_bytes())
    header[124:136] = b"\x80" + (1 << 80).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    large.write_bytes(header)
    with tarfile.open(twice, "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("package.json"))
    for package, problem in ((large, "ends before its"), (twice, "each once")):
        with pytest.raises(InvalidBundle, match=problem):
            install(Folder(tmp_path / "state"), str(package), Trust("sha256:" + "0" * 64))


def test_a_base_that_is_no_digest_is_rejected(tmp_path: Path) -> None:
    one = publish_release(tmp_path / "store", 1)
    package = pack(one, tmp_path / "one.fairlead")
    head = {"schema": "fairlead.dev/edge-package/v1", "digest": one.digest, "base": "../../etc"}
    change(package, **{"package.json": json.dumps(head).encode()})
    with pytest.raises(ArtifactError, match=r"package\.json base: got '\.\./\.\./etc', expected sha256"):
        install(Folder(tmp_path / "state"), str(package), Trust(one.digest))
    assert (Folder(tmp_path / "state").read_slots() or Slots()) == Slots()
