"""How much memory a training run takes on a device, before it starts."""

from __future__ import annotations

from ...train.protocol import Shape
from .config import COUPLED, PkefConfig

INDEX = 4  # bytes of an index

# Tables (N, d) beside the saved ones while a layer's adjoint runs: gradients of both streams before
# and after it, of both messages and sums, the next behaviour's, and the table itself.
WORKING_TABLES = 10


def _head_bytes(config: PkefConfig, n_behaviors: int, live: int, nodes: int, rows: int) -> int:
    """What a head on the coupled input holds beyond what all heads do, of a batch."""
    if config.head not in COUPLED:
        return 0
    item, d = config.dtype.itemsize, config.d
    if config.bottom_input == "hadamard" and config.head == "shared_bottom":
        return rows * d * item * 6  # products, hidden units and their gradients
    own, shared = (0, 1) if config.head == "shared_bottom" else config.expert_counts
    experts = live * own + shared
    if config.literal and config.head == "shared_bottom":
        return nodes * live * item * 2
    # First layers and gates of all nodes with their gradients, and one behaviour's sums by node.
    columns = 2 * (experts * 2 * d + live * (own + shared) + 16) + (own + shared) * 2 * d
    return nodes * columns * item + rows * (own + shared) * 4 * item


def training_bytes(config: PkefConfig, shape: Shape) -> int:
    """About how many bytes a run needs.

    Counted are parameters with gradient, moments and average, patterns, what the streams save for
    their adjoint, and the rows of a batch; not what the driver and the compiled kernels take.
    """
    n_users, n_items, edges, steps_held = shape
    item = config.dtype.itemsize
    n_nodes, n_behaviors = n_users + n_items, len(edges)
    table = n_nodes * config.d * item
    parameters = (5 if config.average else 4) * table
    patterns = sum(2 * 2 * count * INDEX + n_nodes * (2 * item + 2 * INDEX) for count in edges)
    # A layer saves two messages, a behaviour its two sums and its start.
    saved = table * (2 * sum(config.layers) + 3 * n_behaviors)

    live = sum(1 for weight in config.coefficients if weight > 0)
    terms = live * n_behaviors  # an own term and n − 1 unique ones each
    slots = (1 + config.negatives) * min(config.batch_users, n_users) * config.samples_per_user
    nodes = min(n_nodes, config.batch_users + terms * slots)
    batch_tables = nodes * config.d * item * n_behaviors * (3 + terms)
    batch_tables += _head_bytes(config, n_behaviors, live, nodes, live * slots)
    rows = terms * slots * (4 * INDEX + (4 * n_behaviors + 8) * item)
    step = saved + WORKING_TABLES * table + batch_tables + rows
    return parameters + patterns + steps_held * step
