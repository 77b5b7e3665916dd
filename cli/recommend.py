"""`pkef-fast recommend`."""

from __future__ import annotations

import click

from ..device import set_threads
from ..recommender import Recommender
from .options import choose_order, device_option, json_option, plain_option, threads_option
from .output import print_json, print_selection, print_table


@click.command()
@click.argument("run", type=click.Path())
@click.option("--user", "users", multiple=True, required=True, help="A user's id; may be repeated.")
@click.option("-k", "count", default=10, show_default=True, help="Items a user.")
@click.option("--include-seen", is_flag=True, help="Also items that the user bought in train.")
@click.option(
    "--explain",
    is_flag=True,
    help="Say how much came from taste, from what the user has in hand, and from popularity.",
)
@plain_option
@device_option
@threads_option
@json_option
def recommend(run, users, count, include_seen, explain, rerank, device, threads, as_json):
    """Recommend items to users, by the data set's own ids.

    \b
    pkef-fast recommend runs/demo-official-1 --user 0 --user 7 -k 5
    pkef-fast recommend runs/demo-official-1 --user 0 --explain
    """
    set_threads(threads)
    model = Recommender.load(run, device)
    choose_order(model, rerank)
    result = model.recommend(users, count, filter_seen=not include_seen)
    why = {}
    if explain:
        why = model.explain(result, ([one.item for one in best] for best in result.values()))
    if as_json:
        listed = {
            user: [{"item": one.item, "score": one.score} for one in best]
            for user, best in result.items()
        }
        for user, reasons in why.items():
            for one, reason in zip(listed[user], reasons, strict=True):
                one["reason"] = reason._asdict()
        result = {"users": listed}
        if model.selection is not None:
            result["selection"] = model.selection.facts()
        print_json(result)
        return
    rows = [
        [user, place, one.item, one.score]
        for user, best in result.items()
        for place, one in enumerate(best, 1)
    ]
    print_selection(model)
    if not explain:
        print_table(["user", "place", "item", "score"], rows)
        return
    said = (reason for reasons in why.values() for reason in reasons)
    rows = [
        [*row, reason.taste, reason.funnel, reason.popularity]
        for row, reason in zip(rows, said, strict=True)
    ]
    columns = ["user", "place", "item", "score", "from taste", "from own funnel", "from popularity"]
    print_table(columns, rows)
    for user, reasons in why.items():
        for place, (one, reason) in enumerate(zip(result[user], reasons, strict=True), 1):
            click.echo(f"{user}, {place}. {one.item}: {reason.text}.")
