"""Data sets that are one archive, and archives that nobody should trust."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest
from loopback import published, serving

from pkef_fast.errors import InputError
from pkef_fast.fetch import Source, fetch
from pkef_fast.fetch.unpack import unpack

CONTENT = {"trn_buy": b"buys" * 1000, "tst_int": b"held out"}


def zipped(*entries):
    """A zip archive of (name or ZipInfo, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


GOOD = zipped(
    ("shop/", b""),
    *((f"shop/{name}", content) for name, content in CONTENT.items()),
    ("shop/readme.txt", b"not wanted"),
    ("__MACOSX/shop/._trn_buy", b"not wanted"),
)


def source(archive=GOOD):
    return Source("a/b", "c0ffee", "Data", (published("shop.zip", archive),), tuple(CONTENT))


@pytest.fixture
def server():
    with serving() as one:
        one.files = {"/a/b/c0ffee/Data/shop.zip": GOOD}
        yield one


def get(server, folder, **options):
    return fetch("shop", folder, server.url, timeout=5.0, sources={"shop": source()}, **options)


def files(folder):
    found = {path.name: path.read_bytes() for path in (folder / "shop").iterdir()}
    found.pop("SHA256SUMS", None)
    return found


def test_it_is_unpacked_and_goes(server, tmp_path):
    assert get(server, tmp_path).new == tuple(CONTENT)
    assert files(tmp_path) == CONTENT
    assert get(server, tmp_path).new == ()
    assert len(server.asked) == 1
    (tmp_path / "shop" / "tst_int").unlink()
    assert get(server, tmp_path).new == ("tst_int",)
    assert files(tmp_path) == CONTENT


def test_an_archive_put_there_by_hand_is_checked_and_stays(server, tmp_path):
    (tmp_path / "shop").mkdir()
    path = tmp_path / "shop" / "shop.zip"
    path.write_bytes(GOOD[:-1])
    with pytest.raises(InputError, match=r"shop\.zip is there, but is not the published"):
        get(server, tmp_path)
    path.write_bytes(GOOD)
    assert get(server, tmp_path).new == tuple(CONTENT)
    assert files(tmp_path) == {**CONTENT, "shop.zip": GOOD}
    assert server.asked == []


def test_a_file_in_the_way(server, tmp_path):
    (tmp_path / "shop").mkdir()
    path = tmp_path / "shop" / "tst_int"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="tst_int is there, but is not the published file"):
        get(server, tmp_path)
    assert files(tmp_path) == {"tst_int": b"mine", "shop.zip": GOOD}
    get(server, tmp_path, replace=True)
    assert path.read_bytes() == CONTENT["tst_int"]
    path.write_bytes(b"mine again")  # by now the list knows better, and nobody is asked
    server.asked.clear()
    with pytest.raises(InputError, match="tst_int is there, but is not"):
        get(server, tmp_path)
    assert server.asked == []


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return entry


BAD = {
    "a way out": ([("../trn_buy", b"")], "'../trn_buy', which leads out of its folder"),
    "a way out within": ([("a/../../x", b"")], "which leads out of its folder"),
    "a Windows way out": ([("..\\trn_buy", b"")], "which leads out of its folder"),
    "an absolute name": ([("/tmp/trn_buy", b"")], "which leads out of its folder"),
    "a drive": ([("C:/trn_buy", b"")], "which leads out of its folder"),
    "a link": ([(link("trn_buy"), b"/etc/passwd")], "'trn_buy', which is a link"),
    "a file missing": ([("trn_buy", b"")], "holds no tst_int; wanted trn_buy, tst_int; found"),
    "a file twice": (
        [("a/trn_buy", b"1"), ("b/trn_buy", b"2"), ("tst_int", b"")],
        "holds trn_buy twice, as 'a/trn_buy' and as 'b/trn_buy'",
    ),
    "a bomb": (
        [("trn_buy", b"0" * 10_000_000), ("tst_int", b"")],
        "unpacks to more than 1000000 bytes",
    ),
}


def refused(tmp_path, content, sentence):
    path = tmp_path / "shop.zip"
    path.write_bytes(content)
    folder = tmp_path / "out" / "in"
    folder.mkdir(parents=True)
    with pytest.raises(InputError) as error:
        unpack(path, tuple(CONTENT), folder, largest=1_000_000)
    assert sentence in str(error.value)
    assert str(path) in str(error.value)
    assert [one for one in (tmp_path / "out").rglob("*") if one.is_file()] == []


@pytest.mark.parametrize("case", BAD)
def test_an_archive_that_cannot_be_trusted(tmp_path, case):
    entries, sentence = BAD[case]
    refused(tmp_path, zipped(*entries), sentence)


def test_no_archive_at_all(tmp_path):
    refused(tmp_path, b"<html>", "cannot be unpacked: File is not a zip file")


def test_a_bomb_that_lies_about_its_size(tmp_path):
    """Its entry says 10 bytes, and no more than that are written."""
    content = zipped(("trn_buy", b"0" * 10_000_000), ("tst_int", b""))
    size = (10_000_000).to_bytes(4, "little")
    assert content.count(size) == 2
    path, folder = tmp_path / "shop.zip", tmp_path / "out"
    path.write_bytes(content.replace(size, (10).to_bytes(4, "little")))
    folder.mkdir()
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack(path, tuple(CONTENT), folder, largest=1_000_000)
    assert sum(one.stat().st_size for one in folder.iterdir()) <= 10


def test_a_bad_archive_leaves_nothing_unpacked(tmp_path):
    bad = zipped(("trn_buy", b"buys"), ("../tst_int", b""))
    with serving() as server:
        server.files = {"/a/b/c0ffee/Data/shop.zip": bad}
        with pytest.raises(InputError, match="leads out"):
            fetch("shop", tmp_path, server.url, sources={"shop": source(bad)})
    assert files(tmp_path) == {"shop.zip": bad}
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]
