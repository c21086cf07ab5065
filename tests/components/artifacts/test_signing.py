"""Signatures: who vouches for an artifact, and that nothing in a store can pretend it."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fairlead_artifacts
import pytest
from fairlead_artifacts import (
    ArtifactError,
    NotSigned,
    PublicKey,
    SigningKey,
    StoreUnavailable,
    delete,
    fetch,
    list_artifacts,
    parse_uri,
    publish,
    sign,
    verify,
)
from fairlead_artifacts.signing import KEY_FILE, make_keys
from fairlead_artifacts.stores import open_store

Keys = tuple[SigningKey, PublicKey]


def make(folder: Path) -> Keys:
    private, public = make_keys(folder)
    return SigningKey.read(private), PublicKey.read(public)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return make(tmp_path / "keys")


@pytest.fixture
def others(tmp_path: Path) -> Keys:
    return make(tmp_path / "others")


@pytest.fixture
def artifact(base: str, folder: Path) -> tuple[str, str]:
    """Return the URI and the digest of an artifact without a signature."""
    return f"{base}/v1", publish(folder, f"{base}/v1", kind="dataset", producer="t/1").digest


def write(uri: str, key: PublicKey, content: bytes) -> None:
    """Put something into the place of a key's signature, as whoever can write to the store may."""
    open_store(parse_uri(uri)).write_beside(parse_uri(uri), f".fairlead-signatures/{key.id}", content)


def test_a_signature_is_verified(artifact: tuple[str, str], keys: Keys, others: Keys) -> None:
    with pytest.raises(NotSigned, match=f"{keys[1].id} has no signature; expected a signature"):
        verify(*artifact, [keys[1]])
    sign(*artifact, keys[0])
    assert verify(*artifact, [others[1], keys[1]]) == keys[1].id
    with pytest.raises(NotSigned, match=f"{others[1].id} has no signature"):
        verify(*artifact, [others[1]])
    with pytest.raises(NotSigned, match="no key is trusted"):
        verify(*artifact, [])


def test_an_artifact_may_have_signatures_of_several_keys(artifact: tuple[str, str], keys: Keys, others: Keys) -> None:
    for key, _ in (keys, others, keys):
        sign(*artifact, key)
    assert [verify(*artifact, [public]) for _, public in (keys, others)] == [keys[1].id, others[1].id]


def test_a_signature_changes_nothing_else(artifact: tuple[str, str], keys: Keys, tmp_path: Path, folder: Path) -> None:
    uri, digest = artifact
    sign(uri, digest, keys[0])
    assert [manifest.digest for _, manifest in list_artifacts(uri)] == [digest]
    assert publish(folder, uri, kind="dataset", producer="t/1").digest == digest
    fetch(uri, tmp_path / "copy", digest)
    assert not list((tmp_path / "copy").rglob("*fairlead*"))


def test_a_signature_of_what_was_replaced_or_deleted_counts_for_nothing_else(
    artifact: tuple[str, str], keys: Keys, folder: Path
) -> None:
    uri, digest = artifact
    sign(uri, digest, keys[0])
    (folder / "more.txt").write_text("more")
    replaced = publish(folder, uri, kind="dataset", producer="t/1", replace=True).digest
    assert replaced != digest
    for uri_digest in ((uri, replaced), (uri, digest)):
        with pytest.raises(NotSigned, match="has no signature"):
            verify(*uri_digest, [keys[1]])
    sign(uri, replaced, keys[0])
    delete(uri)
    with pytest.raises(NotSigned, match="has no signature"):
        verify(uri, replaced, [keys[1]])
    with pytest.raises(ArtifactError, match="no artifact found"):
        sign(uri, replaced, keys[0])


FORGED = ["", "[]", "{}", "null", '{"signature": 1, "digest": 2}', '{"signature": "ä", "digest": ""}', "[" * 10_000]


@pytest.mark.parametrize("content", FORGED)
def test_what_is_no_signature_counts_as_none(artifact: tuple[str, str], keys: Keys, content: str) -> None:
    write(artifact[0], keys[1], content.encode())
    with pytest.raises(NotSigned, match="has no readable signature"):
        verify(*artifact, [keys[1]])


def test_no_other_signature_fits(artifact: tuple[str, str], keys: Keys, others: Keys) -> None:
    uri, digest = artifact
    other = "sha256:" + "0" * 64
    good = json.loads(keys[0].sign(digest))
    raw = bytearray(base64.b64decode(good["signature"]))
    raw[5] ^= 1
    forged: list[tuple[dict[str, Any], str]] = [
        (json.loads(others[0].sign(digest)), "has not made this signature"),
        (json.loads(keys[0].sign(other)), "has signed another digest"),
        ({**json.loads(keys[0].sign(other)), "digest": digest}, "has not made this signature"),
        ({**good, "signature": base64.b64encode(raw).decode()}, "has not made this signature"),
        ({**good, "signature": ""}, "has not made this signature"),
        ({**good, "signature": base64.b64encode(bytes(raw) * 20).decode()}, "has not made this signature"),
    ]
    for document, problem in forged:
        write(uri, keys[1], json.dumps(document).encode())
        with pytest.raises(NotSigned, match=problem):
            verify(uri, digest, [keys[1]])
    write(uri, keys[1], json.dumps(good).encode())
    assert verify(uri, digest, [keys[1]]) == keys[1].id


def test_a_link_in_the_place_of_signatures_is_not_followed(folder: Path, keys: Keys, tmp_path: Path) -> None:
    uri = (tmp_path / "store" / "v1").as_uri()
    digest = publish(folder, uri, kind="dataset", producer="t/1").digest
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store" / "v1" / ".fairlead-signatures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match="is a link"):
        sign(uri, digest, keys[0])
    assert not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "elsewhere" / keys[1].id).write_bytes(keys[0].sign(digest))
    with pytest.raises(NotSigned, match="has no readable signature"):
        verify(uri, digest, [keys[1]])


def test_a_link_to_nowhere_in_the_place_of_signatures_is_named(folder: Path, keys: Keys, tmp_path: Path) -> None:
    uri = (tmp_path / "v1").as_uri()
    digest = publish(folder, uri, kind="dataset", producer="t/1").digest
    (tmp_path / "v1" / ".fairlead-signatures").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="is a link; expected a folder") as caught:
        sign(uri, digest, keys[0])
    assert not isinstance(caught.value, StoreUnavailable)  # a retry does not help


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself"])
def test_what_cannot_be_read_hides_no_signature_of_another_key(
    folder: Path, keys: Keys, others: Keys, tmp_path: Path, kind: str
) -> None:
    uri = (tmp_path / "v1").as_uri()
    digest = publish(folder, uri, kind="dataset", producer="t/1").digest
    sign(uri, digest, keys[0])
    place = tmp_path / "v1" / ".fairlead-signatures" / others[1].id
    {"folder": place.mkdir, "pipe": lambda: os.mkfifo(place), "link to itself": lambda: place.symlink_to(place)}[kind]()
    assert verify(uri, digest, [others[1], keys[1]]) == keys[1].id
    with pytest.raises(NotSigned, match=f"{others[1].id} has no readable signature"):
        verify(uri, digest, [others[1]])


def test_files_of_an_artifact_cannot_be_its_signatures(folder: Path, base: str, keys: Keys) -> None:
    (folder / ".fairlead-signatures").mkdir()
    (folder / ".fairlead-signatures" / keys[1].id).write_bytes(b"{}")
    with pytest.raises(ArtifactError, match="this name is reserved"):
        publish(folder, f"{base}/v1", kind="dataset", producer="t/1")


WRONG_KEYS = [
    ("nothing", b"", "expected an Ed25519 p.* key in PEM"),
    ("no PEM", b"secret", "expected an Ed25519 p.* key in PEM"),
    ("too long", b"-----BEGIN" + b"x" * 100_000, "expected an Ed25519 p.* key in PEM"),
]


@pytest.mark.parametrize(("name", "content", "problem"), WRONG_KEYS, ids=[name for name, *_ in WRONG_KEYS])
def test_a_wrong_key_is_named_by_its_file_and_not_repeated(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    for read in (SigningKey.read, PublicKey.read):
        with pytest.raises(ArtifactError, match=problem) as caught:
            read(path)
        assert caught.value.uri == str(path)
        assert "secret" not in caught.value.problem


def test_each_kind_of_key_is_only_taken_for_itself(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    with pytest.raises(ArtifactError, match="expected an Ed25519 public key"):
        PublicKey.read(private)
    with pytest.raises(ArtifactError, match="expected an Ed25519 private key"):
        SigningKey.read(public)
    with pytest.raises(ArtifactError, match="No such file"):
        SigningKey.read(tmp_path / "absent")


def test_new_keys_are_private_and_replace_none(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    assert (private.stat().st_mode & 0o777, public.stat().st_mode & 0o777) == (0o600, 0o644)
    kept = private.read_bytes()
    with pytest.raises(ArtifactError, match="File exists"):
        make_keys(tmp_path)
    assert private.read_bytes() == kept


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_keys_of_openssl_are_keys(artifact: tuple[str, str], tmp_path: Path) -> None:
    private, public = tmp_path / "a.pem", tmp_path / "b.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    sign(*artifact, SigningKey.read(private))
    key = PublicKey.read(public)
    assert verify(*artifact, [key]) == key.id
    rsa = tmp_path / "rsa.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "rsa", "-out", rsa], check=True, capture_output=True)
    with pytest.raises(ArtifactError, match="expected an Ed25519 private key"):
        SigningKey.read(rsa)


def test_what_is_published_with_a_key_is_signed(
    base: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = make_keys(tmp_path / "keys")
    monkeypatch.setenv(KEY_FILE, str(private))
    key = PublicKey.read(public)
    manifest = publish(folder, f"{base}/v1", kind="dataset", producer="t/1")
    assert verify(f"{base}/v1", manifest.digest, [key]) == key.id
    monkeypatch.setenv(KEY_FILE, str(public))
    with pytest.raises(ArtifactError, match="expected an Ed25519 private key"):
        publish(folder, f"{base}/v2", kind="dataset", producer="t/1")
    assert not list(list_artifacts(f"{base}/v2"))


def test_without_the_package_a_key_is_an_error_that_says_so(
    base: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, _ = make_keys(tmp_path / "keys")
    monkeypatch.setenv(KEY_FILE, str(private))
    monkeypatch.delattr(fairlead_artifacts, "ed25519")
    monkeypatch.setitem(sys.modules, "fairlead_artifacts.ed25519", None)
    with pytest.raises(ArtifactError, match="signatures need the package `cryptography`"):
        publish(folder, f"{base}/v1", kind="dataset", producer="t/1")
    assert not list(list_artifacts(f"{base}/v1"))


def test_the_command_line_signs_and_verifies(base: str, folder: Path, tmp_path: Path) -> None:
    def run(*arguments: str, code: int = 0) -> Any:
        command = [sys.executable, "-m", "fairlead_artifacts.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if code == 0 else done.stderr

    made = run("keygen", str(tmp_path / "keys"))
    run("publish", str(folder), f"{base}/v1", "--kind", "dataset", "--producer", "t/1")
    missing = run("verify", f"{base}/v1", "--public-key", made["public"], code=1)
    assert missing.count("\n") == 1
    assert "has no signature" in missing
    assert run("sign", f"{base}/v1", "--key", made["private"])["signed"] == made["id"]
    assert run("verify", f"{base}/v1", "--public-key", made["public"])["signed"] == made["id"]
    (folder / "more.txt").write_text("more")
    run("publish", str(folder), f"{base}/v1", "--kind", "dataset", "--producer", "t/1", "--replace")
    assert "has no signature" in run("verify", f"{base}/v1", "--public-key", made["public"], code=1)
