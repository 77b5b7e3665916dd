"""Public data sets from a server on this machine: whole, cut, wrong, slow, gone."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback import published, serving

from pkef_fast.errors import InputError
from pkef_fast.fetch import Source, fetch

BUY, VIEW = b"buys" * 5_000, bytes(range(256)) * 300
SHOP = Source(
    "someone/shop",
    "c0ffee",
    "Data/Shop",
    (published("trn_buy", BUY), published("trn_view", VIEW, sized=False)),
)
AT = "/someone/shop/c0ffee/Data/Shop/"


@pytest.fixture
def server():
    with serving() as one:
        one.files = {f"{AT}trn_buy": BUY, f"{AT}trn_view": VIEW}
        yield one


def get(server, folder, **options):
    options = {"mirror": f"{server.url}/", "timeout": 5.0, "sources": {"shop": SHOP}, **options}
    return fetch("shop", folder, **options)


def refusal(server, folder, **options):
    """The sentence of a fetch that fails."""
    with pytest.raises(InputError) as error:
        get(server, folder, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def files(folder):
    """{file: content} of the data set's folder; none where that is not there."""
    return {path.name: path.read_bytes() for path in folder.glob("shop/*")}


def test_whole_files_and_their_list(server, tmp_path):
    seen = []
    found = get(server, tmp_path, report=lambda *one: seen.append(one))
    sums = {
        "trn_buy": hashlib.sha256(BUY).hexdigest(),
        "trn_view": hashlib.sha256(VIEW).hexdigest(),
    }
    assert found == (tmp_path / "shop", sums, ("trn_buy", "trn_view"))
    there = files(tmp_path)
    lines = there.pop("SHA256SUMS").decode()
    assert lines == "".join(f"{sum_}  {name}\n" for name, sum_ in sums.items())
    assert there == {"trn_buy": BUY, "trn_view": VIEW}
    assert seen[-1] == ("trn_view", len(VIEW), len(VIEW))
    assert server.asked == [(f"{AT}trn_buy", None), (f"{AT}trn_view", None)]
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=found.folder, check=True)


def test_what_is_there_and_right_is_not_fetched_again(server, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "trn_buy").write_bytes(BUY)  # put there by hand
    assert get(server, tmp_path).new == ("trn_view",)
    server.asked.clear()
    assert get(server, tmp_path).new == ()
    assert server.asked == []


def test_what_is_there_and_wrong_is_refused_before_anything_is_asked(server, tmp_path):
    (tmp_path / "shop").mkdir()
    mine = tmp_path / "shop" / "trn_view"
    mine.write_bytes(b"mine")
    sentence = refusal(server, tmp_path)
    assert f"{mine} is there, but is not the published file" in sentence
    assert "--replace" in sentence
    assert files(tmp_path) == {"trn_view": b"mine"}
    assert server.asked == []
    assert get(server, tmp_path, replace=True).new == ("trn_buy", "trn_view")
    assert mine.read_bytes() == VIEW


def test_the_list_is_believed_too(server, tmp_path):
    get(server, tmp_path)
    path = tmp_path / "shop" / "SHA256SUMS"
    listed = path.read_text(encoding="utf-8")
    path.write_text(listed.replace(listed[:64], "0" * 64), encoding="utf-8")
    assert "SHA256SUMS lists" in refusal(server, tmp_path)
    path.write_text("no sums", encoding="utf-8")
    assert "SHA256SUMS, line 1: found 'no sums'" in refusal(server, tmp_path)
    path.write_text(f"{'1' * 64}  notes.txt\n", encoding="utf-8")
    get(server, tmp_path)
    assert path.read_text(encoding="utf-8") == f"{'1' * 64}  notes.txt\n{listed}"


@pytest.mark.parametrize("manner", ["whole", "no ranges", "chunked", "wrong ranges"])
def test_a_cut_download_goes_on(server, tmp_path, manner):
    server.manner = "cut"
    sentence = refusal(server, tmp_path)
    half = len(BUY) // 2
    part = tmp_path / "shop" / "trn_buy.part"
    assert f"after {half} of {len(BUY)} bytes; they lie in {part}" in sentence
    assert files(tmp_path) == {"trn_buy.part": BUY[:half]}
    server.manner = manner
    server.asked.clear()
    get(server, tmp_path)
    assert server.asked[0] == (f"{AT}trn_buy", f"bytes={half}-")
    assert {**files(tmp_path), "SHA256SUMS": b""} == {
        "trn_buy": BUY,
        "trn_view": VIEW,
        "SHA256SUMS": b"",
    }


@pytest.mark.parametrize("name", ["trn_buy", "trn_view"])
@pytest.mark.parametrize("wrong", ["too short", "as long", "too long"])
def test_a_wrong_beginning_is_fetched_anew_once(server, tmp_path, name, wrong):
    (tmp_path / "shop").mkdir()
    length = {"trn_buy": len(BUY), "trn_view": len(VIEW)}[name]
    length += {"too short": -7, "as long": 0, "too long": 7}[wrong]
    (tmp_path / "shop" / f"{name}.part").write_bytes(b"x" * length)
    get(server, tmp_path)
    assert set(files(tmp_path)) == {"trn_buy", "trn_view", "SHA256SUMS"}
    assert server.asked[-1 if name == "trn_view" else -2] == (f"{AT}{name}", None)


def test_a_killed_fetch_goes_on(server, tmp_path):
    server.manner = "stalls"
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from loopback import published\n"
        "from pkef_fast.fetch import Source, fetch\n"
        "SHOP = Source('someone/shop', 'c0ffee', 'Data/Shop', "
        "(published('trn_buy', b'buys' * 5_000),))\n"
        f"fetch('shop', {str(tmp_path)!r}, {server.url!r}, sources={{'shop': SHOP}})"
    )
    part = tmp_path / "shop" / "trn_buy.part"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while process.poll() is None and not (part.exists() and part.stat().st_size):
            time.sleep(0.01)
        process.kill()
    assert not server.ended
    assert files(tmp_path) == {"trn_buy.part": BUY[:10]}
    server.manner = "whole"
    get(server, tmp_path)
    assert server.asked[-2] == (f"{AT}trn_buy", "bytes=10-")
    assert files(tmp_path)["trn_buy"] == BUY


def test_a_whole_part_gets_its_name_without_the_network(server, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "trn_buy.part").write_bytes(BUY)
    get(server, tmp_path)
    assert [path for path, _ in server.asked] == [f"{AT}trn_view"]


@pytest.mark.parametrize("begun", [b"", BUY[:100]])
def test_other_content_is_never_kept(server, tmp_path, begun):
    server.files[f"{AT}trn_buy"] = BUY[::-1]
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "trn_buy.part").write_bytes(begun)
    sentence = refusal(server, tmp_path)
    assert f"{AT}trn_buy gave other content than was published: {len(BUY)} bytes" in sentence
    assert SHOP.files[0].blob in sentence
    assert files(tmp_path) == {}
    assert len(server.asked) == (2 if begun else 1)  # anew once, and only if there was a beginning


def test_another_length_is_refused_before_it_comes(server, tmp_path):
    server.files[f"{AT}trn_buy"] = b"<html>please log in</html>"
    assert f"has 26 bytes there; wanted {len(BUY)}" in refusal(server, tmp_path)
    assert files(tmp_path) == {}


def test_an_answer_without_end(server, tmp_path, monkeypatch):
    server.manner = "endless"
    assert f"does not end after {len(BUY)} bytes" in refusal(server, tmp_path)
    monkeypatch.setattr("pkef_fast.fetch.download.LARGEST", 100_000)
    (tmp_path / "shop" / "trn_buy").write_bytes(BUY)
    assert "trn_view does not end after at most 100000 bytes" in refusal(server, tmp_path)
    assert files(tmp_path)["trn_view.part"] == b""


def test_a_slow_server_is_given_up_and_what_came_is_kept(server, tmp_path):
    server.manner = "stalls"
    sentence = refusal(server, tmp_path, timeout=0.3)
    assert f"broke (nothing came for 0.3 s) after 10 of {len(BUY)} bytes" in sentence
    server.manner = "crawls"
    assert "was too slow (less than 1 kB a second)" in refusal(server, tmp_path, timeout=0.3)
    there = files(tmp_path)["trn_buy.part"]
    assert len(there) > 10
    assert BUY.startswith(there)


@pytest.mark.parametrize("status", [404, 500, 403])
def test_a_server_that_does_not_have_it(server, tmp_path, status):
    server.status = status
    sentence = refusal(server, tmp_path)
    assert f"the server answered {status}" in sentence
    assert ("is not there" in sentence) == (status == 404)
    assert (
        "by hand: trn_buy, trn_view lie at https://github.com/someone/shop/tree/c0ffee" in sentence
    )
    assert f"belong into {tmp_path / 'shop'}" in sentence
    assert files(tmp_path) == {}


@pytest.mark.parametrize("target", ["http://data.example/trn_buy", "ftp://127.0.0.1/trn_buy"])
def test_a_foreign_redirect_is_not_followed(server, tmp_path, target):
    server.redirect = target
    assert f"was redirected to {target}, which is not https" in refusal(server, tmp_path)
    assert len(server.asked) == 1
    assert files(tmp_path) == {}


def test_a_redirect_to_a_file_is_not_followed(server, tmp_path):
    server.redirect = "file:///etc/passwd"
    assert "was refused: the server answered 302" in refusal(server, tmp_path)
    assert files(tmp_path) == {}


def test_a_redirect_on_this_machine_is_followed(server, tmp_path):
    with serving() as first:
        first.redirect = f"{server.url}{AT}trn_buy"
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop" / "trn_view").write_bytes(VIEW)
        assert get(first, tmp_path).new == ("trn_buy",)


def test_without_a_network(tmp_path):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{one.getsockname()[1]}"
    with pytest.raises(InputError) as error:
        fetch("taobao", tmp_path, mirror=closed)
    sentence = str(error.value)
    assert "could not be reached: Connection refused" in sentence
    assert (
        "by hand: trn_buy, trn_cart, trn_pv, tst_int lie at https://github.com/MC-CV/" in sentence
    )
    assert f"belong into {tmp_path / 'taobao'}, where the same command then checks" in sentence


WRONG_CALLS = {
    "unknown": (("shopp", {}), "'shopp' cannot be fetched; did you mean 'shop'"),
    "a mirror of files": (("shop", {"mirror": "file:///etc"}), "'file:///etc' is no base address"),
    "a mirror without a host": (("shop", {"mirror": "https://"}), "is no base address"),
    "a mirror's port": (("shop", {"mirror": "http://a:b/"}), "is no base address"),
    "no time": (("shop", {"timeout": 0}), "the timeout is 0"),
    "not a number": (("shop", {"timeout": float("nan")}), "the timeout is nan"),
}


@pytest.mark.parametrize("case", WRONG_CALLS)
def test_calls_that_cannot_be_meant(tmp_path, case):
    (name, options), sentence = WRONG_CALLS[case]
    with pytest.raises(InputError) as error:
        fetch(name, tmp_path, sources={"shop": SHOP}, **options)
    assert sentence in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_mirrors_password_is_not_shown(tmp_path):
    with pytest.raises(InputError) as error:
        fetch("shop", tmp_path, mirror="http://me:secret@host/", sources={"shop": SHOP})
    assert "secret" not in str(error.value)


def test_what_stands_in_the_way(server, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "file/shop could not be made" in refusal(server, tmp_path / "file")
    (tmp_path / "shop" / "trn_view").mkdir(parents=True)
    assert "trn_view is no file" in refusal(server, tmp_path)
    (tmp_path / "shop" / "trn_view").rmdir()
    (tmp_path / "shop" / "trn_buy.part").mkdir()
    assert "trn_buy.part could not be written" in refusal(server, tmp_path)


def test_the_checksums_of_real_files(real_data, tmp_path):
    for name in ("jd", "retail_rocket"):
        shutil.copytree(real_data / name, tmp_path / name)
        for path in (tmp_path / name, *(tmp_path / name).iterdir()):
            path.chmod(0o755)
        found = fetch(name, tmp_path, mirror="http://127.0.0.1:9")  # is not asked
        assert found.new == ()
