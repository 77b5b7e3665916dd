"""The report of runs: one HTML file, text first, that needs no network and no other file."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Sequence
from typing import Any

from .. import __version__
from ..models import model_class
from ..store.files import write_text
from .markup import Markup, details, document, items, joined, table, tag
from .pictures import Interval, intervals, lines
from .run_facts import RunFacts
from .table import Table

METRICS = ("HR@10", "NDCG@10")
PROTOCOLS = {
    "paper": "every held-out item",
    "discovery": "items that the user has never met",
    "return": "items that the user has met in another behaviour",
}


def write_report(runs: Sequence[RunFacts], path: str | os.PathLike[str]) -> None:
    """Write the report of these runs, whole or not at all."""
    write_text(path, page(runs))


def page(runs: Sequence[RunFacts]) -> str:
    """The report's HTML: a table of the runs where there are several, and a section for each."""
    several = len(runs) > 1
    top = [tag("h1", f"Report of {len(runs)} runs" if several else "Report of a run")]
    if several:
        top += [_side_by_side(runs), _contents(runs)]
    sections = [_section(run, f"run-{n}") for n, run in enumerate(runs, 1)]
    made = tag("p", f"Made by pkef-fast {__version__}.", class_="quiet")
    title = f"{', '.join(run.path for run in runs[:3])}{', …' if len(runs) > 3 else ''}"
    return document(f"{title} – pkef-fast", *top, *sections, made)


# ---- several runs --------------------------------------------------------------------------------


def _side_by_side(runs: Sequence[RunFacts]) -> Markup:
    rows = []
    for run in runs:
        paper, discovery = (run.found.protocols[name] for name in ("paper", "discovery"))
        rows.append(
            (
                run.path,
                *(_with_interval(paper, name) for name in METRICS),
                *(_with_interval(discovery, name) for name in METRICS),
                run.model,
                run.preset,
                "yes" if run.reranked else "no",
                run.data["name"],
                run.records[-1]["epoch"] if run.records else None,
            )
        )
    columns = ("run", *METRICS, *(f"discovery {name}" for name in METRICS))
    columns += ("model", "preset", "re-ranked", "data", "epochs")
    parts = [table(Table(columns, rows), "All runs; in brackets: 95 % intervals over users")]
    if len({run.data["fingerprint"] for run in runs}) > 1:
        parts.append(
            tag("p", "The runs are of different data, so their figures cannot be compared.")
        )
    else:
        parts.append(
            tag(
                "p",
                "Intervals that overlap do not say that two runs are alike, nor that they differ: "
                "pkef-fast compare tests the difference user by user.",
            )
        )
    return joined(*parts)


def _contents(runs: Sequence[RunFacts]) -> Markup:
    links = (tag("a", run.path, href=f"#run-{n}") for n, run in enumerate(runs, 1))
    return tag("nav", items(links), aria_label="Runs")


# ---- a run ---------------------------------------------------------------------------------------


def _section(run: RunFacts, name: str) -> Markup:
    parts = (
        _what(run),
        _figures(run),
        _curves(run),
        _data(run),
        _groups(run.tables.get("groups")),
        _gates(run.tables.get("gates")),
        _stages(run),
        _people(run),
        _again(run),
    )
    return tag("section", tag("h2", run.path), *(part for part in parts if part), id=name)


def _what(run: RunFacts) -> Markup:
    """What was trained on what, in sentences; and the config."""
    settings, data = run.settings, run.data
    preset = f", preset {run.preset}" if run.preset else ""
    epochs = getattr(run.config, "epochs", None)
    made = run.records[-1]["epoch"] if run.records else 0
    how = f" for {made} of at most {epochs} epochs" if epochs else ""
    where = f" on {settings['device']}" if "device" in settings else ""
    facts = [
        f"Model {run.model}{preset}, from {model_class(run.model).about.paper} "
        f"{model_class(run.model).about.year}: fitted{how}{where}.",
        f"Data {data['name']}: {data['users']:,} users, {data['items']:,} items, behaviours "
        f"{' → '.join(data['behaviors'])}; {data['test']['items']:,} held-out {data['target']} "
        f"items of {data['test']['users']:,} users.",
        f"Selection: {run.selection.rstrip('.')}.",
        "The order is re-ranked by what users have touched."
        if run.reranked
        else "The order is the model's own; nothing is re-ranked.",
    ]
    changed = _changed(run)
    shown = (
        table(changed, "Fields that differ from the preset")
        if changed.rows
        else tag("p", "No field differs from the preset.", class_="quiet")
    )
    return joined(
        items(facts), shown, details("The whole config", tag("pre", run.config_text, tabindex=0))
    )


def _changed(run: RunFacts) -> Table:
    """Fields of the config that differ from those of its preset."""
    kind = model_class(run.model)
    behaviors = tuple(run.data["behaviors"])
    name = run.preset or kind.default_preset(run.data["name"])
    before = kind.preset(name, behaviors).checked(behaviors).as_dict()
    rows = [
        (name, str(value), str(before[name]))
        for name, value in run.config.as_dict().items()
        if value != before[name]
    ]
    return Table(("field", "value", "preset"), rows)


def _with_interval(found: Any, name: str) -> str | None:
    """A figure of a protocol with its interval; None without users."""
    if not found.interval:
        return None
    low, high = found.interval[name]
    return f"{found.metrics[name]:.4f} ({low:.4f}–{high:.4f})"


def _figures(run: RunFacts) -> Markup:
    """Figures by protocol, beside what needs no learning."""
    protocols, rules = run.found.protocols, run.audit["rules"]
    paper = protocols["paper"]
    if not paper.users:
        return joined(tag("h3", "Figures"), tag("p", "Nothing was evaluated: no held-out items."))
    said = f"HR@10 is {_with_interval(paper, 'HR@10')} over {paper.users:,} users"
    others = {name: one for name, one in rules.items() if name != "popularity"}
    if others:
        best = max(others, key=lambda name: others[name]["HR@10"])
        value = others[best]["HR@10"]
        than = "more" if value > paper.metrics["HR@10"] else "less"
        said += f"; the rule “{best}”, which learns nothing, has {value:.4f}, which is {than}"
    rows = [
        (f"{name}: {PROTOCOLS[name]}", one.users, *(_with_interval(one, m) for m in METRICS))
        for name, one in protocols.items()
    ]
    rows += [
        (f"rule: {name}", paper.users, *(f"{one[m]:.4f}" for m in METRICS))
        for name, one in rules.items()
    ]
    marks = [
        Interval(name, one.metrics["HR@10"], *one.interval["HR@10"])
        for name, one in protocols.items()
        if one.interval
    ]
    marks += [Interval(name, one["HR@10"]) for name, one in rules.items()]
    return joined(
        tag("h3", "Figures"),
        tag("p", f"{said}."),
        table(
            Table(("who is asked for", "users", *METRICS), rows),
            "Full ranking; in brackets: 95 % intervals over users. Rules are of the protocol paper",
        ),
        _figure(
            intervals(marks, "HR@10: " + ", ".join(f"{m.name} {m.value:.4f}" for m in marks)),
            "HR@10 by protocol with 95 % intervals, and of rules without learning",
        ),
    )


def _figure(picture: Markup, caption: str) -> Markup:
    return tag("figure", picture, tag("figcaption", caption))


def _curves(run: RunFacts) -> Markup | None:
    """What metrics.jsonl has by epoch."""
    records = run.records
    if len(records) < 2:
        return None
    names = [f"{kind}{name}" for kind in ("", "val.") for name in METRICS]
    series = {name: _points(records, name) for name in ("loss", *names)}
    series = {name: points for name, points in series.items() if points}
    loss = series.pop("loss", [])
    pictures, said = [], []
    if loss:
        words = f"The loss goes from {loss[0][1]:.4g} to {loss[-1][1]:.4g}"
        said.append(words)
        pictures.append(_figure(lines({"loss": loss}, "epoch", words), "Loss, mean over an epoch"))
    if series:
        told = []
        for name, points in series.items():
            epoch, value = max(points, key=lambda one: one[1])
            told.append(f"{name} is best at epoch {epoch:g} with {value:.4f}")
        words = "; ".join(told)
        said.append(words)
        items_of = "validation" if any("val." in name for name in series) else "held-out"
        picture = lines(series, "epoch", words)
        pictures.append(_figure(picture, f"On {items_of} items, where they were evaluated"))
    columns = ["epoch", *(name for name in ("loss", *names) if any(name in r for r in records))]
    rows = [tuple(record.get(name) for name in columns) for record in records]
    return joined(
        tag("h3", "Learning curves"),
        tag("p", ". ".join(said) + "."),
        tag("div", *pictures, class_="pictures"),
        details("By epoch", table(Table(tuple(columns), rows), "From metrics.jsonl")),
    )


def _points(records: Sequence[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    found = ((one["epoch"], one.get(name)) for one in records)
    return [(x, y) for x, y in found if isinstance(y, (int, float)) and math.isfinite(y)]


def _data(run: RunFacts) -> Markup:
    """Statistics of the data, and what it gives away."""
    data, found = run.data, run.audit
    rows = [
        (
            name,
            one["interactions"],
            f"{one['density']:.3%}" if one["density"] is not None else None,
            *(round(one["user_degrees"][key], 1) for key in ("mean", "median", "max")),
            _share(one["test_seen"]),
        )
        for name, one in data["behaviors"].items()
    ]
    rows = [tuple(f"{v:g}" if isinstance(v, float) else v for v in row) for row in rows]
    columns = ("behaviour", "train", "density", "a user: mean", "median", "max", "has held-out")
    return joined(
        tag("h3", "Data, and what it gives away"),
        *(tag("p", sentence) for sentence in (*found["verdict"], *found["warnings"])),
        table(Table(columns, rows), "Train interactions, and the share of held-out items in them"),
        tag("p", "Fingerprint: ", tag("code", data["fingerprint"]), class_="quiet"),
        items(data["notes"]) if data["notes"] else "",
    )


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def _groups(found: Table | None) -> Markup | None:
    """Figures of groups of users, as `by_group` makes them."""
    if found is None:
        return None
    rows = [
        Interval(one["group"], one["HR@10"], one["HR@10 low"], one["HR@10 high"])
        for one in found.records()
        if one["HR@10"] is not None
    ]
    words = "HR@10 by group: " + ", ".join(f"{one.name} {one.value:.4f}" for one in rows)
    return joined(
        tag("h3", "Groups of users by activity"),
        tag("p", f"{words}."),
        table(found, "Protocol paper; low and high end a 95 % interval over the group's users"),
        _figure(intervals(rows, words), "HR@10 by group with 95 % intervals"),
    )


def _gates(found: Table | None) -> Markup | None:
    """What experts weigh for the target behaviour, as `analysis.gates` finds it."""
    if found is None:
        return None
    rows = [
        Interval(
            one["expert_name"], one["mean"], one["mean"] - one["std"], one["mean"] + one["std"]
        )
        for one in found.records()
    ]
    words = "Mean weights: " + ", ".join(f"{one.name} {one.value:.4f}" for one in rows)
    return joined(
        tag("h3", "Gates"),
        tag(
            "p",
            f"{words}. A weight multiplies an expert's scores, which differ in size: where ",
            "the table has mean_term, that is how much an expert adds to a score.",
        ),
        table(found, "Weights of the target's experts over test users and their held-out items"),
        _figure(intervals(rows, words), "Mean weight of each expert, and one standard deviation"),
    )


def _stages(run: RunFacts) -> Markup | None:
    if run.stages is None:
        return None
    first, last = next(run.stages.records()), list(run.stages.records())[-1]
    return joined(
        tag("h3", "Slowest stages of a training step"),
        tag(
            "p",
            f"A step takes {last['ms']:.1f} ms; its largest part, {first['of a step']}, is "
            f"“{first['stage']}”.",
        ),
        table(
            Table(run.stages.columns, [(a, f"{b:.2f}", c) for a, b, c in run.stages.rows]),
            "Measured on this machine's CPU when the report was made; medians",
        ),
    )


def _people(run: RunFacts) -> Markup | None:
    """What some users are recommended, and why."""
    if not run.shown:
        return None
    parts = [tag("h3", f"Recommendations for {len(run.shown)} users")]
    if run.reranked:
        parts.append(
            tag(
                "p",
                "Shares say where an item's lead over the user's average candidate "
                "comes from: taste, what the user has in hand, popularity.",
            )
        )
    else:
        parts.append(
            tag(
                "p",
                "This run has no re-ranker, whose features are what can be told "
                "apart; beside an item stands where the user has it.",
            )
        )
    for one in run.shown:
        did = ", ".join(f"{count:,} {name}" for name, count in one.did.items())
        parts += [
            tag("h4", f"User {one.user}"),
            tag(
                "p",
                f"In train: {did}. The held-out item, {one.held_out}, is at place "
                f"{one.place:,} of the ranking.",
                class_="quiet",
            ),
            tag(
                "ol",
                *(
                    tag("li", f"{best.item} (score {best.score:.4g}): {best.why}")
                    for best in one.best
                ),
            ),
        ]
    return joined(*parts)


def _again(run: RunFacts) -> Markup:
    """How to make it again."""
    path = shlex.quote(run.path)
    again = shlex.quote(f"{run.path.rstrip('/')}-again")
    config = shlex.quote(os.path.join(run.path, "config.toml"))
    commands = [f"pkef-fast train --config {config} --out {again}"]
    if run.reranked and run.settings.get("rerank", "none") == "none":
        commands.append(f"pkef-fast rerank {again}")
    commands += [
        f"pkef-fast evaluate {path} --protocol all",
        f"pkef-fast cite --model {run.model}",
    ]
    place = ", ".join(
        f"{name} {value}" for name, value in run.source.items() if name != "fingerprint"
    )
    return joined(
        tag("h3", "How to repeat it"),
        tag(
            "p",
            f"Made with the data set of {place}. On other machines its folder may be named by "
            "--data-dir; the fingerprint says whether it is the same.",
        ),
        tag("pre", "\n".join(commands), tabindex=0),
    )
