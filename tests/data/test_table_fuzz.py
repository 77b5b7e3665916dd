"""Damaged tables: a data set or one sentence, never anything else."""

from __future__ import annotations

import gzip
import json
import random

import pytest

from pkef_fast.data import load_dataset
from pkef_fast.errors import InputError

ROWS = [(f"u{n % 7}", n % 11, ("view", "cart", "buy")[n % 3], 1_511_578_972 + n) for n in range(60)]
HEADER = ("user_id", "item_id", "event", "timestamp")


def text(separator, quoted=False):
    def cell(one):
        return f'"{one}"' if quoted else str(one)

    lines = [separator.join(map(cell, row)) for row in (HEADER, *ROWS)]
    return ("\n".join(lines) + "\n").encode()


def parquet(folder):
    pl = pytest.importorskip("polars")
    path = folder / "made.parquet"
    pl.DataFrame(ROWS, schema=list(HEADER), orient="row").write_parquet(path)
    return path.read_bytes()


def json_lines():
    return "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in ROWS).encode()


FORMS = {
    "log.csv": lambda folder: text(","),
    "quoted.csv": lambda folder: text(",", quoted=True),
    "log.tsv": lambda folder: text("\t"),
    "log.dat": lambda folder: text("::"),
    "log.txt": lambda folder: text(" "),
    "log.csv.gz": lambda folder: gzip.compress(text(",")),
    "log.jsonl": lambda folder: json_lines(),
    "log.parquet": parquet,
}
ODD = (
    b"",
    b"\0",
    b"\n",
    b'"',
    b",",
    b"\xff",
    b"{",
    b"}",
    b"-",
    b".",
    b"9" * 30,
    b"\xe2\x82",
    b"\r",
)


def damaged(content, rng):
    """The content with some bytes cut, changed, repeated or put in."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content) + 1)
        end = min(len(content), at + rng.choice((1, 1, 3, 40)))
        what = rng.randrange(4)
        if what == 0:
            del content[at:end]
        elif what == 1:
            content[at:end] = bytes(rng.randrange(256) for _ in range(end - at))
        elif what == 2:
            content[at:at] = content[at:end]
        else:
            content[at:at] = rng.choice(ODD)
    return bytes(
        content[: rng.choice((len(content), len(content), rng.randrange(len(content) + 1)))]
    )


@pytest.mark.parametrize("name", FORMS)
def test_a_damaged_table_is_a_data_set_or_a_sentence(tmp_path, name):
    whole, rng, refused = FORMS[name](tmp_path), random.Random(name), 0
    path = tmp_path / name
    path.write_bytes(whole)
    assert load_dataset(path).counts() != {}
    for _ in range(100):
        path.write_bytes(damaged(whole, rng))
        for options in ({}, {"bad_rows": "skip"}):
            try:
                load_dataset(path, **options)
            except InputError as error:
                refused += 1
                assert "\n" not in str(error)
                assert len(str(error)) < 1000
    assert refused > 20
