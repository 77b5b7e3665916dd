"""What a data set gives away about its held-out items, before anything is learned.

A split takes the held-out pair out of the target behaviour, and perhaps out of the others. What
stays decides which question the figures answer, and how a train purchase must be hidden to imitate
the test.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import contains, row_of_each, union
from ..device import Device
from ..errors import InputError
from ..evaluate import figures as evaluation
from ..evaluate import rules as trivial
from ..evaluate.figures import TOP
from ..holdout.selection import selection_items
from ..holdout.validation import validation_split
from ..holdout.visibility import visibility_of

ALIKE = 0.1  # total variation up to which two pattern tables are called alike (our choice)
SEES = 0.1  # share of visible held-out items from which they are called given away (our choice)


def audit(dataset: Dataset, device: Device) -> dict[str, Any]:
    """All of the report, as values that JSON can write; shares are None where nothing is counted.

    Returns
    -------
    dict
        name, users, items, target, train (pairs by behaviour), held_out (pairs, users);
        visible : auxiliary behaviour → share of held-out pairs in the user's train row; `any`;
        own : auxiliary behaviour (and `any`) → sizes of the lists of own items not yet bought, over
        users with a held-out item: mean, median, p90, max, and share of users with an empty one;
        patterns : rows of `seen_in` (behaviours, none for untouched) with the shares of `train`
        (purchases), `left_out_target` and `left_out_all` (one purchase of each user with two or
        more, in expectation, hidden in the target or everywhere), `validation` (the items that
        --select val holds out, as it hides them) and `held_out`;
        distances : total variation between held_out and each other column of patterns;
        leave_out : share of left-out purchases that stays visible where nothing else is asked for,
        and why; None where that is not known;
        warnings : sentences, where what is learned or chosen from is not like what is held out;
        nestedness : behaviour a → behaviour b → pairs in a and not b, and the share of a in b;
        duplicates : held-out pairs that are train pairs too, users with several held-out pairs,
        users whose train rows are all those of an earlier user;
        users_without_target, users_without_held_out, held_out_untrained (items nobody bought);
        rules : name → HR@10, NDCG@10; best_list : HR@10 of the best single list for everybody;
        verdict : two sentences.
    """
    users, items = dataset.test_users, dataset.test_items
    target, auxiliary = dataset.interactions[-1], dataset.interactions[:-1]
    names = dataset.behaviors[:-1]
    degrees = np.diff(target.indptr)
    counts = np.bincount(target.indices, minlength=dataset.n_items)
    touched = union(auxiliary, dataset.n_items) if auxiliary else None
    result: dict[str, Any] = {
        "name": dataset.name,
        "users": dataset.n_users,
        "items": dataset.n_items,
        "target": dataset.target,
        "train": dataset.counts(),
        "held_out": {"pairs": len(users), "users": len(np.unique(users))},
        "visible": {
            name: _share(contains(csr, users, items, dataset.n_items))
            for name, csr in _with_any(names, auxiliary, touched)
        },
        "own": {
            name: _sizes(trivial.unbought(csr, dataset), np.unique(users))
            for name, csr in _with_any(names, auxiliary, touched)
        },
        "patterns": _patterns(dataset),
        "nestedness": _nestedness(dataset),
        "duplicates": {
            "also_train_target": int(contains(target, users, items, dataset.n_items).sum()),
            "users_with_several_held_out": int(np.count_nonzero(np.bincount(users) > 1)),
            "users_like_an_earlier_one": _twins(dataset),
        },
        "users_without_target": int(np.count_nonzero(degrees == 0)),
        "users_without_held_out": dataset.n_users - len(np.unique(users)),
        "held_out_untrained": int(np.count_nonzero(counts[items] == 0)),
        "rules": _rules(dataset, device),
        "best_list": _best_list(items, dataset.n_items),
    }
    result["distances"] = _distances(result["patterns"])
    result["leave_out"] = _leave_out(dataset)
    result["warnings"] = _warnings(result)
    result["verdict"] = _verdict(result)
    return result


def _with_any(names, auxiliary, touched):
    pairs = list(zip(names, auxiliary, strict=True))
    return [*pairs, ("any", touched)] if touched is not None else pairs


def _share(found: Array) -> float | None:
    return float(np.mean(found)) if len(found) else None


def _sizes(own: Csr, users: Array) -> dict[str, float | None]:
    sizes = np.diff(own.indptr)[users]
    if not len(sizes):
        return dict.fromkeys(("mean", "median", "p90", "max", "empty"))
    return {
        "mean": float(sizes.mean()),
        "median": float(np.median(sizes)),
        "p90": float(np.percentile(sizes, 90)),
        "max": int(sizes.max()),
        "empty": float(np.mean(sizes == 0)),
    }


# ---- patterns: in which auxiliary behaviours is a pair visible? ----------------------------------


def _codes(dataset: Dataset, users: Array, items: Array) -> Array:
    """(E,) number whose bit k says that the pair is in the train data of auxiliary behaviour k."""
    codes = np.zeros(len(users), np.int64)
    for k, csr in enumerate(dataset.interactions[:-1]):
        codes |= contains(csr, users, items, dataset.n_items).astype(np.int64) << k
    return codes


def _patterns(dataset: Dataset) -> list[dict[str, Any]]:
    names, target = dataset.behaviors[:-1], dataset.interactions[-1]
    rows = row_of_each(target)
    train = _codes(dataset, rows, target.indices)
    degrees = np.diff(target.indptr)[rows]
    several = degrees > 1  # a user with one purchase has nothing left to learn from
    held_out = _codes(dataset, dataset.test_users, dataset.test_items)
    size = 1 << len(names)

    def shares(codes, weights=None):
        total = len(codes) if weights is None else weights.sum()
        return np.bincount(codes, weights, size) / total if total else np.full(size, np.nan)

    columns = {
        "train": shares(train),
        "left_out_target": shares(train[several], 1 / degrees[several]),
        "left_out_all": shares(0 * train[several]),
        "validation": shares(_validation(dataset)),
        "held_out": shares(held_out),
    }
    listed = [code for code in range(size) if any(one[code] > 0 for one in columns.values())]
    return [
        {
            "seen_in": [name for k, name in enumerate(names) if code >> k & 1],
            **{name: _number(one[code]) for name, one in columns.items()},
        }
        for code in sorted(listed, key=lambda code: (-code.bit_count(), code))
    ]


def _validation(dataset: Dataset) -> Array:
    """Codes of the items that --select val holds out, in the data that is left to train on."""
    try:
        _, held = selection_items(dataset, None)
    except InputError:  # nobody has three purchases
        return np.empty(0, np.int64)
    return _codes(validation_split(dataset, held), held.users, held.items)


def _leave_out(dataset: Dataset) -> dict[str, Any] | None:
    try:
        return visibility_of(dataset)._asdict()
    except InputError:
        return None


def _warnings(found: dict[str, Any]) -> list[str]:
    """Where patterns differ from the held-out ones by more than ALIKE."""
    patterns, how, result = found["patterns"], found["leave_out"], []
    if how is None:
        if found["held_out"]["pairs"]:
            result.append(
                "nothing says how the held-out items were split off: a re-ranker asks for "
                "--leave-out, and --select val hides its items in the target alone."
            )
    else:
        share = how["share"]
        mixed = [
            None
            if row["left_out_target"] is None
            else share * row["left_out_target"] + (1 - share) * row["left_out_all"]
            for row in patterns
        ]
        result += _warning("purchases left out to learn from", mixed, patterns)
    return result + _warning("validation items", [row["validation"] for row in patterns], patterns)


def _warning(what: str, shares: list[float | None], patterns: list[dict[str, Any]]) -> list[str]:
    apart = _distance(shares, [row["held_out"] for row in patterns])
    if apart is None or apart <= ALIKE:
        return []
    return [
        f"{what} are visible elsewhere in other ways than the held-out ones (distance {apart:.2f} "
        "of 1), so what is learned or chosen from them need not hold for these."
    ]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _distances(patterns: list[dict[str, Any]]) -> dict[str, float | None]:
    """Half the sum of absolute differences to the held-out column: 0 alike, 1 nothing in common."""
    result = {}
    for name in ("train", "left_out_target", "left_out_all", "validation"):
        columns = ([row[key] for row in patterns] for key in (name, "held_out"))
        result[name] = _distance(*columns)
    return result


def _distance(first: list[float | None], second: list[float | None]) -> float | None:
    if not first or None in first or None in second:
        return None
    return sum(abs(a - b) for a, b in zip(first, second, strict=True)) / 2


# ---- the rest of the report ----------------------------------------------------------------------


def _nestedness(dataset: Dataset) -> dict[str, dict[str, dict[str, float]]]:
    named = list(zip(dataset.behaviors, dataset.interactions, strict=True))
    result: dict[str, dict[str, dict[str, float]]] = {}
    for a, first in named:
        rows = row_of_each(first)
        result[a] = {}
        for b, second in named:
            if a != b:
                shared = int(contains(second, rows, first.indices, dataset.n_items).sum())
                result[a][b] = {
                    "outside": len(rows) - shared,
                    "inside_share": shared / len(rows) if len(rows) else None,
                }
    return result


def _twins(dataset: Dataset) -> int:
    """Users with any interaction whose rows are, in every behaviour, those of an earlier user."""
    seen: set[tuple[bytes, ...]] = set()
    found = 0
    for u in range(dataset.n_users):
        rows = tuple(
            csr.indices[csr.indptr[u] : csr.indptr[u + 1]].tobytes() for csr in dataset.interactions
        )
        if any(rows):
            found += rows in seen
            seen.add(rows)
    return found


def _rules(dataset: Dataset, device: Device) -> dict[str, dict[str, float]]:
    if not len(dataset.test_users):
        return {}
    popular = evaluation.evaluate(evaluation.popularity(dataset, device), dataset).metrics
    first = {"popularity": {name: popular[name] for name in (f"HR@{TOP}", f"NDCG@{TOP}")}}
    return first | trivial.rules(dataset)


def _best_list(items: Array, n_items: int) -> float | None:
    """HR@10 of the ten items that are held out most often, shown to everybody."""
    if not len(items):
        return None
    counts = np.sort(np.bincount(items, minlength=n_items))[::-1]
    return float(counts[:TOP].sum() / len(items))


def _verdict(found: dict[str, Any]) -> list[str]:
    """What it means for figures, and for leaving out: two sentences."""
    target = found["target"]
    if not found["held_out"]["pairs"]:
        return ["Nothing is held out, so nothing can be evaluated.", "A split comes first."]
    share = found["visible"].get("any", 0.0)
    rules = {name: one for name, one in found["rules"].items() if name != "popularity"}
    if share >= SEES and rules:
        best = max(rules, key=lambda name: rules[name][f"HR@{TOP}"])
        first = (
            f"{share:.1%} of the held-out {target!r} items are still visible in their user's other "
            f"behaviours, and the rule {best!r} alone finds {rules[best][f'HR@{TOP}']:.1%} of all "
            "among its first ten: figures of the protocol 'paper' mostly tell who remembers, so "
            "look at 'discovery' too."
        )
    else:
        first = (
            f"Only {share:.1%} of the held-out {target!r} items are visible in their user's other "
            "behaviours: rules without learning find little, and figures tell what a model learned."
        )
    apart = found["distances"]
    known = {name: apart[f"left_out_{name}"] for name in ("target", "all")}
    if None in known.values():
        second = "No user has two purchases, so none can be left out to imitate the test."
    else:
        near = min(known, key=known.get)
        second = (
            f"Train purchases left out of {'the target' if near == 'target' else 'all behaviours'} "
            f"look most like the held-out ones (distance {known[near]:.2f} of 1, the other way "
            f"{max(known.values()):.2f})"
        )
        second += (
            f": leave out {near!r} to imitate this test."
            if known[near] <= ALIKE
            else ", yet not alike: whatever is learned from them rests on other habits than the "
            "test's."
        )
    return [first, second]
