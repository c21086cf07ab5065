"""Long logs are moved aside while their writers go on."""

from pathlib import Path

from fairlead_cluster.local.node.rotation import rotate


def test_a_long_log_is_moved_aside_and_its_writer_continues_at_the_new_end(tmp_path: Path) -> None:
    file, short = tmp_path / "etcd.log", tmp_path / "node.log"
    short.write_text("short")
    with file.open("ab", buffering=0) as writer:
        writer.write(b"a" * 100)
        rotate([file, short, tmp_path / "absent.log"], limit=50)
        writer.write(b"b")
        assert (file.read_bytes(), (tmp_path / "etcd.log.1").read_bytes()) == (b"b", b"a" * 100)
        writer.write(b"c" * 100)
        rotate([file, short], limit=50)
    assert (file.read_bytes(), (tmp_path / "etcd.log.1").read_bytes()) == (b"", b"b" + b"c" * 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etcd.log", "etcd.log.1", "node.log"]
