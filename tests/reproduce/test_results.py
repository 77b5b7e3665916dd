"""The files: their numbers are the library's, and they say how they came about."""

from __future__ import annotations

import statistics
from types import SimpleNamespace

import numpy as np
import pytest
from commands import call, check_refusal, last_json

from pkef_fast import Recommender
from pkef_fast.analysis import user_groups
from pkef_fast.compare.significance import Difference, paired
from pkef_fast.data import generate
from pkef_fast.data.dataset import Dataset
from pkef_fast.device import device
from pkef_fast.errors import InputError
from pkef_fast.evaluate.figures import gains
from pkef_fast.evaluate.rules import each_pair
from pkef_fast.report.drawing import of_kind
from pkef_fast.report.table import Table
from pkef_fast.reproduce import claims, experiments, figures, results, tables
from pkef_fast.reproduce.experiments import PKEF, ROWS
from pkef_fast.reproduce.found import Contrast, Found, Spread
from pkef_fast.reproduce.plan import tasks
from pkef_fast.reproduce.runs import Store

CPU = device("cpu")
NAMES = ("table4", "fig2", "fig6", "fig7")
POINTS = ((4, 1, 1), (1, 1, 1)), ((0, 4, 2), (6, 0, 0))  # of both grids


@pytest.fixture(scope="module")
def store(data, tmp_path_factory):
    """Two seeds of what NAMES need, and a seed of two points of each grid."""
    store = Store(tmp_path_factory.mktemp("made"))
    for one in tasks(NAMES, data, 2, "val", 2):
        assert store.make(one, data, CPU)
    for grid, points in zip(grids(), POINTS, strict=True):
        found = Found(store, data, CPU, "val", 1, 2)
        for point in points:
            assert store.make(*found.tasks(grid[point]), data, CPU)
    return store


def grids():
    return experiments.layer_grid(3), experiments.coefficient_grid(3)


def found_in(store, data, seeds=2):
    return Found(store, data, CPU, "val", seeds, 2)


def test_means_and_spreads_are_those_of_the_librarys_runs(store, data):
    table = tables.table("table4", found_in(store, data))
    records = {one["row"]: one for one in table.records()}
    each = []
    for seed in (1, 2):
        model = Recommender("pkef", "vanilla", epochs=2, seed=seed)
        model.fit(data, select="val", eval_every=5)
        each.append(model.evaluate(data, protocol="all"))
    row = records["Vanilla"]
    for metric in ("HR@10", "NDCG@10"):
        values = [one[metric] for one in each]
        assert row[metric] == pytest.approx(statistics.mean(values), abs=0)
        assert row[f"{metric} sd"] == pytest.approx(statistics.stdev(values), abs=0)
        mean = statistics.mean(one.protocols["return"].metrics[metric] for one in each)
        assert row[f"return {metric}"] == mean
    assert (row["seeds"], row["configuration"]) == (2, "pkef:vanilla")
    graph = Recommender("graph-rank").fit(data).evaluate(data)
    assert records["graph-rank"]["NDCG@10"] == graph["NDCG@10"]
    assert records["graph-rank"]["seeds"] == 1
    assert records["graph-rank"]["NDCG@10 sd"] is None
    for name, values in each_pair(data).items():
        assert records[name]["NDCG@10"] == values["NDCG@10"].mean()
    assert list(records)[:4] == list(ROWS["table4"])


def test_differences_are_of_means_over_seeds_by_user(store, data):
    found = found_in(store, data)
    records = {one["row"]: one for one in tables.table("table4", found).records()}

    def values(row):
        ranks = [one.arrays["paper.rank_from_1"] - 1 for _, one in found.done(ROWS["table4"][row])]
        assert len(ranks) == 2
        return np.mean([gains(one, 10)[1] for one in ranks], axis=0)

    wanted = paired(data.test_users, values("Linear Trans."), values("Projection"))
    cells = [records["Linear Trans."][f"NDCG@10 - PKEF{end}"] for end in ("", " low", " high")]
    assert cells == pytest.approx(list(wanted[:3]))
    assert records["Linear Trans."]["NDCG@10 - PKEF p"] == pytest.approx(wanted.p)
    assert records["Projection"]["NDCG@10 - PKEF"] is None  # PKEF itself
    rule = "own view, at random"
    gain = each_pair(data)[rule]["NDCG@10"]
    wanted = paired(data.test_users, gain, values("Projection"))
    assert records[rule]["NDCG@10 - PKEF"] == pytest.approx(wanted.mean)
    assert records[rule]["NDCG@10 - PKEF p"] == pytest.approx(wanted.p)
    difference = records["popularity"]["HR@10 - PKEF"]
    assert difference == pytest.approx(
        records["popularity"]["HR@10"] - records["Projection"]["HR@10"]
    )


def test_the_published_figures_stand_beside_ours(store, data, tmp_path):
    taobao = Dataset(**{**vars(data), "name": "taobao"})
    tables.write("table4", found_in(store, taobao), tmp_path)
    kinds = {one: str if n < 2 else float for n, one in enumerate(tables.columns())}
    read = Table.read(tmp_path / "table4.csv", kinds)
    assert read.column("published HR@10")[:5] == [0.1142, 0.1185, 0.1254, 0.1385, None]
    text = (tmp_path / "table4.md").read_text(encoding="utf-8")
    assert "| Projection | 2 | " in text
    assert "| 0.1385 | " in text


@pytest.mark.parametrize(
    ("seeds", "words"),
    [(1, "Seed: 1, of every"), (2, "Seeds: 1 to 2, of every"), (3, "fewer: Summation 2, Linear")],
)
def test_the_caption_says_which_seeds_there_are(store, data, seeds, words):
    found = found_in(store, data, seeds)
    text = tables.caption(found, tables.table("table4", found))
    assert words in text
    assert "best NDCG@10 on these" in text
    assert "At most 2 epochs" in text


def test_a_table_without_runs_has_its_rows(data, tmp_path):
    table = tables.table("table3", found_in(Store(tmp_path), data))
    assert table.column("row")[:10] == list(ROWS["table3"])
    assert set(table.column("NDCG@10")[:11]) == {None}
    assert table.column("NDCG@10")[11] is not None  # popularity
    assert "| PKEF | 0 | – |" in tables.shown(table).markdown()


def test_grids_have_a_row_a_run(store, data):
    found = found_in(store, data)
    for make, grid, points in zip((figures.fig4, figures.fig5), grids(), POINTS, strict=True):
        made = make(found)
        # The official preset is in both grids, and has two seeds.
        assert len(made.table.rows) == 3
        for row in made.table.records():
            point = tuple(row.values())[:3]
            if make is figures.fig5:
                point = tuple(round(6 * one) for one in point)
            assert point in points
            done = {task.seed: result for task, result in found.done(grid[point])}
            assert row["ndcg"] == done[row["seed"]].metric("NDCG@10")
        assert f"2 of {len(grid)} points, with 0 to 2 seeds each" in made.text


def test_grids_may_have_epochs_of_their_own(store, data):
    """Claims about tables and about grids then come from different runs."""
    found = Found(store, data, CPU, "val", 2, 2, grid_epochs=3)
    assert figures.fig4(found).table.rows == []
    found = Found(store, data, CPU, "val", 2, 9, grid_epochs=2)
    assert len(figures.fig4(found).table.rows) == 3
    assert "At most 2 epochs" in figures.fig4(found).text
    said = {one.claim: one for one in claims.claims(found)}
    assert said["vanilla is better than linear"].verdict == "no runs to say"
    assert said["4,1,1 are the best layers"].verdict != "no runs to say"


def test_claims_say_what_the_test_says(store, data):
    found = found_in(store, data)
    said = {one.claim: one for one in claims.claims(found)}
    rows = ROWS["table4"]
    for first, second in (("Vanilla", "Linear Trans."), ("Projection", "Vanilla")):
        name = f"{first.lower()} is better than {second.split()[0].lower()}"
        values = [
            {t.seed: r.values()[1]["NDCG@10"] for t, r in found.done(rows[row])}
            for row in (first, second)
        ]
        wanted = paired(data.test_users, *(np.mean(list(one.values()), axis=0) for one in values))
        signs = [np.mean(values[0][seed] - values[1][seed]) > 0 for seed in (1, 2)]
        if wanted.p >= 0.05 or len(set(signs)) > 1:
            assert said[name].verdict == "within noise"
        else:
            assert said[name].verdict == ("holds" if wanted.mean > 0 else "does not hold")
        assert f"p {wanted.p:.4f}, above 0 at {sum(signs)} of 2 seeds" in said[name].because
        mean = found.spread(rows[first], "NDCG@10").mean
        assert f"{first} {mean:.4f} ± " in said[name].because
    assert said["PKF helps"].verdict == "no runs to say"
    assert said[claims.BEST_OF_ALL].because == "no other model has a run"


def test_a_verdict_needs_a_small_p_and_seeds_that_agree():
    def verdict(mean, by_seed, p=0.01, adjusted=None):
        return claims.verdict(Contrast(Difference(mean, -1, 1, p), by_seed), adjusted)

    assert verdict(0.1, [0.1]) == "holds"
    assert verdict(0.1, [0.1, 0.3]) == "holds"
    assert verdict(0.1, [0.3, -0.1]) == "within noise"
    assert verdict(-0.1, [-0.1, -0.2]) == "does not hold"
    assert verdict(-0.1, [-0.3, 0.1]) == "within noise"
    assert verdict(0.1, [0.1], p=0.05) == "within noise"
    assert verdict(-0.1, [-0.1], p=0.3) == "within noise"
    assert verdict(0.1, [0.1], adjusted=0.2) == "within noise"


class Told:
    """Found runs of ten users, each with one held-out item, by what a test says of them.

    values: configuration → seed → NDCG@10 of each user.
    """

    def __init__(self, values, groups=None):
        users = np.arange(10)
        self.data = SimpleNamespace(
            test_users=users, n_users=10, behaviors=("view", "cart", "buy"), name="told"
        )
        self._values, self.grids, self.groups = values, self, groups

    def done(self, one):
        return [
            (SimpleNamespace(seed=seed), SimpleNamespace(values=lambda v=v: (None, {"NDCG@10": v})))
            for seed, v in self._values.get(one, {}).items()
        ]

    def spread(self, one, metric):
        means = [float(np.mean(v)) for v in self._values.get(one, {}).values()]
        return Spread(float(np.mean(means)) if means else None, None)

    values, contrasts, _by_seed = Found.values, Found.contrasts, Found._by_seed


def test_the_best_other_model_is_taken():
    rows = ROWS["table2"]
    low, high = np.linspace(0, 0.1, 10), np.linspace(0.3, 0.9, 10)
    told = Told({PKEF: {1: high}, rows["MF-BPR"]: {1: low}, rows["CRGCN"]: {1: low + 0.1}})
    said = claims.best_of_all(told)
    assert said.verdict == "holds"
    assert "CRGCN 0.1500 (1 seed)" in said.because
    assert "no runs of NeuMF, LightGCN" in said.because
    told = Told({PKEF: {1: low}, rows["CRGCN"]: {1: high}})
    assert claims.best_of_all(told).verdict == "does not hold"


def test_an_optimum_is_better_than_every_other_point():
    grid = grids()[0]
    low, high = np.linspace(0, 0.1, 10), np.linspace(0.3, 0.9, 10)
    values = {one: {1: low} for one in grid.values()} | {grid[4, 1, 1]: {1: high}}
    said = claims.optimum("best", (4, 1, 1), grid, Told(values))
    # Ten users' p is 2 ÷ 1,024 at least, and Holm takes the smallest of 63 times 63.
    assert said.verdict == "within noise"
    few = {point: grid[point] for point in ((4, 1, 1), (3, 1, 1), (1, 1, 1))}
    said = claims.optimum("best", (4, 1, 1), few, Told(values))
    assert said.verdict == "holds"
    assert "3 of 3 points; 2 of 2 others are worse beyond noise, 0 better" in said.because
    values[grid[1, 1, 1]] = {1: high + 0.1}
    said = claims.optimum("best", (4, 1, 1), few, Told(values))
    assert said.verdict == "does not hold"
    assert "1 of 2 others are worse beyond noise, 1 better" in said.because
    assert "at 1,1,1 0.7000" in said.because


def test_the_best_head_is_the_best_in_every_group(monkeypatch):
    groups = SimpleNamespace(users=[np.arange(5), np.arange(5, 10)])
    monkeypatch.setattr(user_groups, "by_correlation", lambda data: groups)
    by_name = experiments.heads()
    low, high = np.linspace(0, 0.1, 10), np.linspace(0.3, 0.9, 10)
    told = Told({PKEF: {1: high}, by_name["MMOE"]: {1: low}, by_name["PLE"]: {1: low}})
    said = {one.claim: one for one in claims.by_correlation(told)}
    # Five users a group: no p below 2 ÷ 32, so nothing is beyond noise.
    assert said[claims.BEST_IN_GROUPS].verdict == "within noise"
    assert said[claims.RISES].verdict == "holds"
    monkeypatch.setattr(claims, "LEVEL", 0.5)
    said = {one.claim: one for one in claims.by_correlation(told)}
    assert said[claims.BEST_IN_GROUPS].verdict == "holds"
    assert "in 4 of 4 comparisons, worse in none" in said[claims.BEST_IN_GROUPS].because
    mixed = np.concatenate([high[:5] + 0.1, low[5:]])
    told = Told({PKEF: {1: high}, by_name["MMOE"]: {1: mixed}, by_name["PLE"]: {1: low}})
    said = {one.claim: one for one in claims.by_correlation(told)}
    assert said[claims.BEST_IN_GROUPS].verdict == "does not hold"
    assert "worse than MMOE in group 1" in said[claims.BEST_IN_GROUPS].because


def groups_of(data):
    """Two groups of every other test user."""
    users = np.unique(data.test_users)
    table = Table(user_groups.CORRELATED, [(n, None, None, 0.5 * n, 10, 9.0) for n in (1, 2)])
    return SimpleNamespace(names=["low", "high"], users=[users[::2], users[1::2]], table=table)


def test_heads_by_groups_and_the_slope_over_them(store, data, monkeypatch):
    monkeypatch.setattr(user_groups, "by_correlation", groups_of)
    found = found_in(store, data)
    rows = list(figures.fig6(found).table.records())
    assert len(rows) == 5 * 2 * 2  # heads, seeds, groups
    for row in rows:
        one = dict(found.done(experiments.heads()[row["head"]]))
        (result,) = [r for task, r in one.items() if task.seed == row["seed"]]
        users, values = result.values()
        inside = np.isin(users, groups_of(data).users[row["group"] - 1])
        assert row["hr"] == values["HR@10"][inside].mean()
    text = {one.claim: one.because for one in claims.by_correlation(found)}[claims.RISES]
    values = found.values(PKEF, "NDCG@10")
    low, high = (values[np.isin(data.test_users, one)] for one in groups_of(data).users)
    assert f"{high.mean() - low.mean():+.4f} ±" in text  # the slope between two groups


def test_one_behavior_has_no_figure_6(tmp_path):
    data = generate(40, 30, ("buy",), seed=5)
    files, notes = figures.write("fig6", found_in(Store(tmp_path / "runs"), data), tmp_path)
    assert ([one.name for one in files], notes) == (["fig6.csv", "fig6.md"], [])
    assert "none, for there is one behaviour." in files[1].read_text(encoding="utf-8")


def test_figures_of_models_and_their_pictures(store, data, monkeypatch, tmp_path):
    seen = []

    def gates(model, dataset):
        if model.preset == "ple":
            return None
        return Table(("model", "slot", "mean"), [(model.preset, 0, 0.5)])

    def draw(kind, table, path):
        seen.append((kind, path.name))
        path.write_text(kind, encoding="utf-8")

    monkeypatch.setattr(figures, "gates", gates)
    monkeypatch.setattr(figures, "draw", draw)
    files, notes = figures.write("fig7", found_in(store, data), tmp_path)
    assert notes == []
    assert seen == [("gates", "fig7.svg"), ("gates", "fig7.png")]
    assert {one.name for one in files} == {f"fig7.{end}" for end in ("csv", "svg", "png", "md")}
    read = Table.read(tmp_path / "fig7.csv", {"model": str, "slot": int, "mean": float})
    assert read.column("model") == ["PME", "MMoE"]
    text = (tmp_path / "fig7.md").read_text(encoding="utf-8")
    assert "PME: seed 1; MMoE: seed 1" in text
    assert "](fig7.svg)" in text


def test_pictures_that_cannot_be_drawn_are_said(store, data, monkeypatch, tmp_path):
    def draw(kind, table, path):
        raise InputError("pictures need matplotlib: pip install 'pkef-fast[plot]'.")

    monkeypatch.setattr(figures, "draw", draw)
    files, notes = figures.write("fig4", found_in(store, data), tmp_path)
    assert [one.suffix for one in files] == [".csv", ".md"]
    assert notes == [
        "fig4 has no pictures: pictures need matplotlib: pip install 'pkef-fast[plot]'."
    ]


def test_the_pictures_are_drawn_from_the_tables(store, data, tmp_path):
    pytest.importorskip("matplotlib")
    found = found_in(store, data)
    for name, make in figures.MAKERS.items():
        files, notes = figures.write(name, found, tmp_path)
        assert notes == []
        made = make(found)
        assert made.table.rows
        assert len(files) == 4
        assert all(one.stat().st_size for one in files)
        assert list(of_kind(made.kind).columns) == list(made.table.columns)


def test_equal_runs_give_equal_files(store, data, tmp_path):
    contents = []
    for place in (tmp_path / "one", tmp_path / "other"):
        place.mkdir()
        (place / ".table4.csv.half").touch()
        results.write(("table4", "fig1", "fig4", "fig5"), found_in(store, data), place)
        contents.append({one.name: one.read_bytes() for one in place.iterdir() if one.is_file()})
    assert contents[0] == contents[1]
    assert ".table4.csv.half" not in contents[0]


def test_the_command_finds_the_runs_that_are_there(store, folder, data):
    words = ("--dataset", folder, "--seeds", 2, "--epochs", 2, "--out", store.folder)
    planned = last_json(call("reproduce", "table4", *words, "--dry-run", "--json"))
    assert planned["seconds"] == 0
    assert [one["done"] for one in planned["runs"]] == [2, 2, 2, 2, 1]
    found = last_json(call("reproduce", "table4", *words, "--json"))
    assert (found["made"], found["done"], found["left_out"]) == (0, 9, 0)
    assert len(found["files"]) == 3
    wanted = tables.table("table4", found_in(store, data)).column("NDCG@10")
    kinds = {one: str if n < 2 else float for n, one in enumerate(tables.columns())}
    assert Table.read(found["files"][0], kinds).column("NDCG@10") == wanted
    text = call("reproduce", "fig4", *words, "--budget", 0).stdout
    assert "runs did not fit the budget" in text
    assert "fig4.csv" in text


def test_the_command_makes_what_is_missing(folder, tmp_path):
    words = ("fig2", "--dataset", folder, "--seeds", 1, "--epochs", 1, "--out", tmp_path)
    result = call("reproduce", *words, "--jobs", 2, "--threads", 1)
    assert "0 runs are there, 2 are to be made in about" in result.stderr
    assert "[2/2] pkef:" in result.stderr
    assert "claims.md" in result.stdout
    assert "2 runs are there, 0 are to be made" in call("reproduce", *words).stderr
    text = call("reproduce", *words[:-4], "--out", tmp_path, "--dry-run").stdout
    assert "pkef:base" in text  # other epochs are other runs
    assert "0 runs are there, 2 are to be made" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tabel2"], ["'tabel2'", "did you mean 'table2'"]),
        (["all", "--jobs", "0"], ["--jobs cannot be 0"]),
        (["all", "--budget", "-1"], ["--budget cannot be -1"]),
        (["all", "--seeds", "0"], ["seeds cannot be 0"]),
    ],
)
def test_wrong_words_are_one_sentence(folder, tmp_path, words, said):
    result = call("reproduce", *words, "--dataset", folder, "--out", tmp_path / "out", code=2)
    check_refusal(result, said)
    assert not (tmp_path / "out").exists()
