"""What is found in a dataset on disk before it is published."""

import base64
import os
import random
import zlib
from pathlib import Path

import pytest
from fairlead_datasets.errors import Unusable
from fairlead_datasets.survey import Format, files, survey

from .conftest import Write

PNG, JPEG = b"\x89PNG\r\n\x1a\n....", b"\xff\xd8\xff\xe0...."
PARQUET = zlib.decompress(
    base64.b85decode(
        "c-nQ7J5L)y5XWa9EGI<aSj@>QS;#_R1(HD~l2HnzkcR3C6s4p&>=m|jJ{#ZVMM;6E@+nfLprpzt$%jalq|D4c2oH1Go86n8-+yNI"
        "?vCHS+e3{#>_uo0nowQ8-c*ajataO+a1GbG6xE>Hw8<&yHbSbGKoYbW(Zmvh{4twTf|}TT0x2bwq~LX2uhVk)XEtBhToAZ{8(j<@"
        "fq`QC2dbnEY(yv@)cs6KBZYZHh>CfRPz7PX_n~F7!N^Zy3;<U)WlLw{3lF%;%QT+&O^BH4(_<c=Wu$MS19s?^PR3b|vJ77KiJ$m1"
        "{~y0JOX7h?UFxbN&e^MyY08Xd-_V~yXl&b_IB4UF?SpC9vIL}!@Ji5d?_IFn<@09_s1peX+r~ODl!(FA8svfta1@T*58=LwCt#>8"
        "p;A9YUl+|44b_d1P7q!S8tz8A-wTvT$4GlbCt4R$b+A>o&Mg<!48x)Orrck-sEvKN!*x|mjZafPp*x9d?S8675=T&Kgtt00E}#jv"
        "I<t6w{=w%vgV}5+p3kSBIv@Q!8&A{DtNq>H?w&oN_jG^23;HyU>8JSzyt`=a"
    )
)
"""Three rows of size, name, tags (a list) and place (a struct of a struct), as pyarrow writes them."""


def test_a_csv_file_has_rows_and_columns(write: Write) -> None:
    found = survey(write({"houses.csv": '\ufeffsize,city\n1,"a, b"\n2,"c\nd"\n\n'}) / "houses.csv")
    assert (found.format, list(found.sizes), found.size) == ("csv", ["houses.csv"], 31)
    assert found.facts == {"format": "csv", "rows": 2, "columns": ["size", "city"]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "is empty, expected a header", id="empty"),
        pytest.param(b"a,b\n", "a header and no rows", id="no rows"),
        pytest.param(b"a,b\n1,2\n3\n", "line 3: got 1 fields, expected 2", id="a row that is too short"),
        pytest.param(b"a,\n1,2\n", "column 2 has no name", id="a column without a name"),
        pytest.param(b"a,a\n1,2\n", "two columns are named 'a'", id="two columns of one name"),
        pytest.param(b'a,b\n1,"2', "line 2: unexpected end of data", id="an open quote"),
        pytest.param(b"a,b\n\xff\xfe,2\n", "is not UTF-8", id="another encoding"),
        pytest.param(b"a\n" + b"1" * (1 << 20) + b"1", "line 2: longer than 1,048,576 characters", id="no line ends"),
        pytest.param(b"a\n" + b"1" * 200_000 + b"\n", "line 2: field larger than field limit", id="a huge field"),
        pytest.param(b",".join(b"c%d" % n for n in range(10_001)) + b"\n", "10,001 columns", id="too many columns"),
    ],
)
def test_a_csv_file_that_no_training_could_read_is_rejected(write: Write, content: bytes, problem: str) -> None:
    with pytest.raises(Unusable, match=problem):
        survey(write({"houses.csv": content}) / "houses.csv")


def test_a_parquet_file_has_rows_and_the_columns_at_its_top(write: Write) -> None:
    found = survey(write({"t.parquet": PARQUET}) / "t.parquet")
    assert found.facts == {"format": "parquet", "rows": 3, "columns": ["size", "name", "tags", "place"]}


def test_a_damaged_parquet_file_is_rejected_whatever_the_damage(write: Write) -> None:
    chosen = random.Random(1)
    rejected = 0
    for _ in range(3000):
        content = bytearray(PARQUET)
        for _ in range(chosen.randint(1, 4)):
            content[chosen.randrange(len(content) - 600, len(content))] = chosen.randrange(256)
        file = write({"t.parquet": bytes(content)}) / "t.parquet"
        try:
            survey(file)
        except Unusable as error:
            assert str(file) in str(error)
            rejected += 1
    assert 100 < rejected < 3000


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "expected a complete parquet file", id="empty"),
        pytest.param(PARQUET[:-20], "expected a complete parquet file", id="cut off"),
        pytest.param(PARQUET[:-8] + b"\xff\xff\xff\x7fPAR1", "metadata of 2,147,483,647 bytes", id="a false length"),
        pytest.param(PARQUET[:-4] + b"PARE", "encrypted", id="encrypted"),
        pytest.param(b"PAR1" + b"\x19" * 5000 + b"\x88\x13\x00\x00PAR1", "nested too deeply", id="deeply nested"),
    ],
)
def test_what_is_no_parquet_file_is_rejected(write: Write, content: bytes, problem: str) -> None:
    with pytest.raises(Unusable, match=problem):
        survey(write({"t.parquet": content}) / "t.parquet")


def test_subfolders_of_images_are_classes(write: Write) -> None:
    found = survey(write({"cat/1.png": PNG, "cat/deep/2.JPG": JPEG, "dog/3.jpeg": JPEG, "cat/.DS_Store": b"x"}))
    assert (found.format, found.left_out) == ("images", 1)
    assert found.facts == {"format": "images", "classes": {"cat": 2, "dog": 1}}
    assert list(found.sizes) == ["cat/1.png", "cat/deep/2.JPG", "dog/3.jpeg"]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        pytest.param({"cat/1.png": JPEG}, "1.png: is no PNG image: starts with ff d8", id="another format's content"),
        pytest.param({"cat/1.png": b""}, "starts with nothing", id="an empty file"),
        pytest.param({"cat/1.png": PNG, "2.png": PNG}, "2.png: has no class", id="an image without a class"),
        pytest.param({"cat/1.png": PNG, "cat/a.txt": b"a"}, "got the extension '.txt'", id="a file that is no image"),
        pytest.param({"cat/1.png": PNG, "dog/.DS_Store": b"x"}, "dog: has no images", id="a class without images"),
    ],
)
def test_a_folder_that_is_not_of_images_by_class_is_rejected(
    write: Write, files: dict[str, bytes], problem: str
) -> None:
    with pytest.raises(Unusable, match=problem):
        survey(write(files), "images")


def test_any_other_folder_is_published_as_it_is(write: Write) -> None:
    found = survey(write({"a.csv": "x", "arrays.zarr/.zarray": "{}", ".git/config": "c", "cat/1.png": PNG}))
    assert (found.format, found.facts) == ("folder", {"format": "folder"})
    assert list(found.sizes) == ["a.csv", "arrays.zarr/.zarray", "cat/1.png"]


def test_links_and_pipes_are_rejected(write: Write, tmp_path: Path) -> None:
    root = write({"a.csv": "x"})
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(Unusable, match="out: is a link"):
        survey(root)
    (root / "out").unlink()
    os.mkfifo(root / "pipe.csv")
    with pytest.raises(Unusable, match=r"pipe.csv: is a pipe"):
        survey(root)
    with pytest.raises(Unusable, match=r"pipe.csv: is a pipe"):
        survey(root / "pipe.csv")


def test_what_does_not_exist_and_what_is_empty_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="no such file or folder"):
        survey(tmp_path / "nothing")
    with pytest.raises(Unusable, match="contains no files"):
        survey(tmp_path)


def test_more_files_than_a_manifest_holds_are_rejected_before_they_are_read(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write({f"{number}.bin": "" for number in range(50)})
    monkeypatch.setattr(files, "MAX_MANIFEST", 50 * 110)
    with pytest.raises(Unusable, match="50 files need a manifest"):
        survey(root)
    monkeypatch.setattr(files, "MAX_FILES", 49)
    with pytest.raises(Unusable, match="more than 49 files"):
        survey(root)


@pytest.mark.parametrize("expected", ["csv", "parquet"])
def test_a_folder_of_several_files_is_no_table(write: Write, expected: Format) -> None:
    with pytest.raises(Unusable, match="got 2 files, expected one"):
        survey(write({"a.csv": "a\n1\n", "b.csv": "a\n1\n"}), expected)
