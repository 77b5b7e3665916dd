"""report/table.py: what is written is read again, and nothing else."""

from __future__ import annotations

import pytest

from pkef_fast.errors import InputError
from pkef_fast.report.table import Table

COLUMNS = {"name": str, "seed": int, "HR@10": float}


def a_table():
    return Table(tuple(COLUMNS), [("a, b", 1, 0.1), ("1", 2, None)])


def test_what_is_written_is_read(tmp_path):
    table = a_table()
    table.write(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b'name,seed,HR@10\n"a, b",1,0.1\n1,2,\n'
    assert Table.read(tmp_path / "t.csv", COLUMNS) == table
    assert table.column("seed") == [1, 2]
    assert next(table.records()) == {"name": "a, b", "seed": 1, "HR@10": 0.1}


def test_markdown_has_four_decimals_and_a_dash_for_nothing():
    assert a_table().markdown() == (
        "| name | seed | HR@10 |\n| --- | --- | --- |\n| a, b | 1 | 0.1000 |\n| 1 | 2 | – |\n"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has the columns of no header; wanted name, seed, HR@10."),
        ("name,seed\n", "has the columns name, seed; wanted name, seed, HR@10."),
        ("name,seed,HR@10\nx,1\n", "line 2: 2 fields; wanted 3."),
        ("name,seed,HR@10\nx,1,0.5\ny,z,0.5\n", "line 3, seed: 'z'; wanted a whole number."),
    ],
)
def test_other_files_are_refused(tmp_path, text, sentence):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as found:
        Table.read(path, COLUMNS)
    assert str(path) in str(found.value)
    assert str(found.value).endswith(sentence)
