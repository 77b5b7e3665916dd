"""`plot`: the CSV holds what the library says, and the picture what the CSV says."""

from __future__ import annotations

import numpy as np
import pytest
from commands import QUICK, call, check_refusal, last_json

pytest.importorskip("matplotlib", reason="pictures need the extra plot")

from pkef_fast import Recommender, load_dataset
from pkef_fast.analysis.behavior_inheritance import inheritance
from pkef_fast.analysis.curves import curves
from pkef_fast.analysis.gates import gates
from pkef_fast.analysis.interaction_counts import counts
from pkef_fast.analysis.user_groups import by_correlation
from pkef_fast.report.drawing import KINDS, draw
from pkef_fast.report.table import Table
from pkef_fast.store.runs import Run


@pytest.fixture(scope="module")
def deeper(shop, tmp_path_factory):
    """A run with other layers and coefficients."""
    folder = tmp_path_factory.mktemp("runs") / "deeper"
    words = ("--set", "layers=2,1,2", "--set", "coefficients=0.5,0,0.5", "--seed", "7")
    call("train", "--dataset", shop, "--out", folder, *QUICK, *words)
    return folder


def plotted(*words, out):
    """The table beside a picture, which is drawn from it alone."""
    found = last_json(call("plot", *words, "-o", out, "--json"))
    table = out.with_suffix(".csv")
    assert found == {"picture": str(out), "csv": str(table)}
    kind = words[-1] if words[-1] in KINDS else words[0]
    again = out.with_name(f"again{out.suffix}")
    read = Table.read(table, KINDS[kind].columns)
    draw(kind, read, again)
    assert again.read_bytes() == out.read_bytes()
    return read


def test_curves(run, deeper, tmp_path):
    found = plotted(run, deeper, "curves", out=tmp_path / "c.svg")
    assert found == curves([Run.open(run), Run.open(deeper)])
    assert set(found.column("run")) == {"run", "deeper"}


def test_gates(run, deeper, shop, tmp_path):
    found = plotted(run, deeper, "gates", out=tmp_path / "g.png")
    data = load_dataset(shop)
    wanted = [gates(Recommender.load(one), data, one.name).rows for one in (run, deeper)]
    assert found.rows == wanted[0] + wanted[1]


def test_gates_over_random_candidates(run, shop, tmp_path):
    out = tmp_path / "g.png"
    call("plot", run, "gates", "--candidates", 7, "-o", out)
    found = Table.read(out.with_suffix(".csv"), KINDS["gates"].columns)
    data, model = load_dataset(shop), Recommender.load(run)
    assert found.rows == gates(model, data, "run", candidates=7).rows
    assert found.rows != gates(model, data, "run").rows


def test_inheritance(run, deeper, tmp_path):
    found = plotted(run, deeper, "inheritance", out=tmp_path / "i.svg")
    wanted = [inheritance(Recommender.load(one), one.name).rows for one in (run, deeper)]
    assert found.rows == wanted[0] + wanted[1]


def test_hist(run, shop, tmp_path):
    wanted = counts(load_dataset(shop)).rows
    assert plotted(run, "hist", out=tmp_path / "run.svg").rows == wanted
    assert plotted("hist", "--dataset", shop, out=tmp_path / "shop.svg").rows == wanted


def test_sweeps(run, deeper, tmp_path):
    metrics = [last_json(call("evaluate", one, "--json"))["metrics"] for one in (run, deeper)]
    figures = [(one["HR@10"], one["NDCG@10"]) for one in metrics]
    seeds = [Recommender.load(one).model.config.seed for one in (run, deeper)]
    assert seeds[1] == 7
    found = plotted(run, deeper, "layers", out=tmp_path / "l.svg")
    points = [(4, 1, 1), (2, 1, 2)]
    wanted = [(*p, s, *f) for p, s, f in zip(points, seeds, figures, strict=True)]
    assert found.rows == wanted
    found = plotted(run, deeper, "coefficients", out=tmp_path / "k.svg")
    points = [(0, 4 / 6, 2 / 6), (0.5, 0, 0.5)]
    wanted = [(*p, s, *f) for p, s, f in zip(points, seeds, figures, strict=True)]
    assert found.rows == wanted


def test_groups_are_those_of_equal_activity(run, graph_run, tmp_path):
    found = plotted(run, graph_run, "groups", out=tmp_path / "groups.svg")
    model = Recommender.load(run)
    data = load_dataset(
        **{k: v for k, v in Run.open(run).settings()[1].items() if k != "fingerprint"}
    )
    groups = by_correlation(data)
    ranks = model.evaluate(data).protocols["paper"]
    assert found.column("head") == [model.preset] * 5 + ["graph-rank"] * 5
    assert found.column("seed") == [model.model.config.seed] * 5 + [None] * 5
    for row, group, users in zip(found.rows[:5], groups.table.rows, groups.users, strict=True):
        assert row[0] == str(group[0])
        assert row[4:6] == pytest.approx(group[4:6])
        own = ranks.ranks[np.isin(ranks.test_users, users)]
        gains = np.where(own < 10, 1 / np.log2(own + 2), 0)
        assert row[8:] == pytest.approx((np.mean(own < 10), np.mean(gains)))


def test_a_table_is_drawn_as_it_is(tmp_path):
    table = tmp_path / "heads.csv"
    columns = KINDS["groups"].columns
    row = ("1", 0.1, 0.2, 0.15, 9, 70.0, "pme", 1, 0.2, 0.1)
    Table(tuple(columns), [row]).write(table)
    before = table.read_bytes()
    out = tmp_path / "groups.png"
    said = call("plot", "groups", "--csv", table, "-o", out).stdout
    assert said == f"the picture lies in {out}, its numbers in {table}\n"
    assert table.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["groups.png", "heads.csv"]


def test_what_cannot_be_drawn_is_refused(run, graph_run, shop, tmp_path):
    out = tmp_path / "x.svg"
    table = tmp_path / "t.csv"
    for words, sentence in (
        ((run, "curves", "-o", tmp_path / "x.pdf"), "x.pdf cannot be drawn"),
        (("curves", "-o", out), "wanted one of these to draw"),
        ((run, "curves", "--csv", table, "-o", out), "wanted one of these to draw"),
        (("gates", "--dataset", shop, "-o", out), "--dataset is for hist"),
        ((graph_run, "gates", "-o", out), "has no gate: model 'graph-rank'"),
        ((graph_run, "layers", "-o", out), "config field 'layers' is"),
        ((graph_run, "inheritance", "-o", out), f"{graph_run}: model 'graph-rank' has no cascade"),
        ((run, "curves", "--candidates", 7, "-o", out), "--candidates is for gates of runs"),
        (("gates", "--csv", table, "--candidates", 7, "-o", out), "--candidates is for gates"),
        ((tmp_path, "curves", "-o", out), "is not a run"),
        (("hist", "--csv", table, "-o", out), "t.csv cannot be read"),
    ):
        check_refusal(call("plot", *words, code=2), [sentence])
    assert list(tmp_path.iterdir()) == []


def test_files_that_nobody_named_stay(run, tmp_path):
    mine = tmp_path / "clicks.csv"
    mine.write_text("user,item\n1,2\n", encoding="utf-8")
    check_refusal(
        call("plot", run, "curves", "-o", tmp_path / "clicks.svg", code=2),
        ["clicks.csv is there and is no table of curves"],
    )
    assert mine.read_text(encoding="utf-8") == "user,item\n1,2\n"
    for _ in range(2):  # an earlier table is replaced
        call("plot", run, "curves", "-o", tmp_path / "c.svg")


def test_hist_is_of_one_data_set(run, tmp_path):
    other = tmp_path / "other"
    call("train", "--dataset", "demo", "--model", "graph-rank", "--out", other)
    words = ["was trained on other data than"]
    check_refusal(call("plot", run, other, "hist", "-o", tmp_path / "h.svg", code=2), words)
