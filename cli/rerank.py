"""`pkef-fast rerank`."""

from __future__ import annotations

import click

from ..data import load_dataset
from ..device import set_threads
from ..recommender import Recommender
from ..store.runs import Run
from .options import (
    assignments,
    device_option,
    json_option,
    leave_out_option,
    protocol_option,
    threads_option,
)
from .output import (
    ProgressReport,
    print_json,
    print_protocols,
    print_reranker,
    print_selection,
    print_table,
)

METRICS = ("HR@10", "NDCG@10")


@click.command()
@click.argument("run", type=click.Path())
@leave_out_option
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the re-ranker; may be repeated. "
    "`pkef-fast config --reranker` lists the fields.",
)
@protocol_option
@device_option
@threads_option
@json_option
def rerank(run, leave_out, sets, protocol, device, threads, as_json):
    """Learn to re-rank a finished run's model by what its users have touched.

    The re-ranker becomes part of the run: `evaluate` and `recommend` use it.

    \b
    pkef-fast rerank runs/demo-official-1
    pkef-fast rerank runs/demo-official-1 --leave-out all --set kind=linear
    """
    set_threads(threads)
    folder = Run.open(run)
    model = Recommender.load(folder.path, device)
    _, source, _ = folder.settings()
    source.pop("fingerprint", None)
    data = load_dataset(**source)
    folder.check_data(data)
    model.reranker = None
    found = {"model": model.evaluate(data, protocol=protocol or "paper")}
    report = ProgressReport()
    reranker = model.rerank(data, leave_out, callbacks=[report], **assignments(sets))
    found["re-ranked"] = after = model.evaluate(data, protocol=protocol or "paper")
    model.save(folder.model_file)
    if as_json:
        result = {
            "run": str(folder.path),
            "metrics": {name: after[name] for name in METRICS},
            "model": {name: found["model"][name] for name in METRICS},
            "users": after.users,
            "items": len(after.ranks),
            "reranker": reranker.report,
        }
        if model.selection is not None:
            result["selection"] = model.selection.facts()
        if protocol:
            result["protocols"] = {name: one.as_dict() for name, one in after.protocols.items()}
        print_json(result)
        return
    print_selection(model)
    print_reranker(reranker)
    rows = [[name, *(one[metric] for metric in METRICS)] for name, one in found.items()]
    if after.nothing:
        click.echo(after.nothing)
    else:
        print_table(["full ranking", *METRICS], rows)
    if protocol and len(data.test_users):
        print_protocols(after.protocols)
