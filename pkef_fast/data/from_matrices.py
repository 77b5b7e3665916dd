"""A data set of matrices in memory: `Dataset.from_matrices`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from . import checks, user_lists
from .dataset import Array, Dataset
from .epochs import comparable
from .patterns import row_of_each
from .sparse import Entries, Inconsistent, dense_entries, entries

_WANTED = "a SciPy sparse matrix or an array of numbers (users × items)"


def from_matrices(
    matrices: Mapping[str, Any],
    test: Any = None,
    validation: Any = None,
    *,
    behaviors: Sequence[str] | None = None,
    name: str = "data",
    leave_out: str | None = None,
) -> Dataset:
    """A data set of one matrix a behaviour.

    Parameters
    ----------
    matrices : dict of behaviour → SciPy sparse matrix or array (U, I)
        Of any format and type of numbers; a value above zero is an interaction. In the dict's
        order, upstream first, the target last.
    test : array (T, 2), list of U entries, or matrix (U, I), optional
        Held-out target pairs: rows of user and item; an item, None or items of each user; or a
        matrix like the others.
    validation : as `test`, optional
        Target pairs to choose by; see `Dataset`.
    behaviors : sequence of str, optional
        Those to use, in another order than the dict's, the target last.
    name : str
    leave_out : {"target", "all"}, optional
        Whether `test` was taken out of the target alone or out of all matrices.

    Raises
    ------
    InputError
        When a part is of another form or shape, or holds what is no user or item.

    Examples
    --------
    >>> views, buys = np.array([[1, 1, 0], [0, 1, 1]]), np.array([[1, 0, 0], [0, 1, 0]])
    >>> data = Dataset.from_matrices({"view": views, "buy": buys}, test=[1, None])
    >>> data.counts(), data.test_items
    ({'view': 4, 'buy': 2}, array([1], dtype=int32))
    """
    if not isinstance(matrices, Mapping) or not matrices:
        raise InputError(
            f"matrices are {_kind(matrices)}; wanted a dict of behaviour → {_WANTED}, the target "
            "last."
        )
    if isinstance(behaviors, str):
        behaviors = [one.strip() for one in behaviors.split(",")]
    if leave_out not in (None, "target", "all"):
        raise InputError(f"leave_out cannot be {leave_out!r}; wanted 'target', 'all' or None.")
    behaviors = tuple(matrices if behaviors is None else behaviors)
    checks.known_behaviors(behaviors, tuple(matrices), "the matrices")
    found = {f"matrix {one!r}": _entries(matrix, one) for one, matrix in matrices.items()}
    shape = checks.same_shape({where: matrix.shape for where, matrix in found.items()})
    patterns = {
        behavior: checks.interactions_of(matrix, where)
        for behavior, (where, matrix) in zip(matrices, found.items(), strict=True)
    }
    interactions, times = zip(*(patterns[one] for one in behaviors), strict=True)
    times, notes = comparable(dict(zip(behaviors, times, strict=True)))
    test_users, test_items = _held_out(test, "test", shape)
    return checks.finished(
        name=name,
        behaviors=behaviors,
        n_users=shape[0],
        n_items=shape[1],
        interactions=interactions,
        times=times,
        notes=notes,
        test_users=test_users,
        test_items=test_items,
        validation=None if validation is None else _held_out(validation, "validation", shape),
        held_out_of=behaviors[-1],
        leave_out=leave_out,
    )


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    return f"{'an' if type(value).__name__[0] in 'aeiouAEIOU' else 'a'} {type(value).__name__}"


def _entries(matrix: Any, name: str) -> Entries:
    """The entries of a matrix of SciPy's, of any format, or of a table of numbers."""
    if hasattr(matrix, "tocoo"):
        try:
            coo = matrix.tocoo()
            if len(coo.shape) != 2:
                raise Inconsistent(f"of shape {coo.shape}; wanted {_WANTED}")
            parts = {"shape": coo.shape, "row": coo.row, "col": coo.col, "data": coo.data}
            return entries("coo", parts)
        except Inconsistent as error:
            raise InputError(f"matrix {name!r} is {error}.") from error
    array = np.asarray(matrix)
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise InputError(f"matrix {name!r} is {_kind(array)}; wanted {_WANTED}.")
    return dense_entries(array)


def _held_out(part: Any, name: str, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Users and items of a held-out part, in any of the forms that it may have."""
    n_users, n_items = shape
    if part is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if hasattr(part, "tocoo"):
        return _of_matrix(_entries(part, name), name, shape)
    if isinstance(part, np.ndarray) and part.ndim == 2 and part.dtype != object:
        if part.shape == shape and part.shape[1] == 2:
            raise InputError(
                f"{name} is an array of shape {shape}, which may be pairs or a matrix; wanted a "
                "SciPy matrix, or a list with an entry for each user."
            )
        if part.shape == shape:
            return _of_matrix(_entries(part, name), name, shape)
        if part.shape[1] == 2:
            return _of_pairs(part, name, shape)
    if isinstance(part, np.ndarray) and part.ndim == 1:
        part = part.tolist()
    if isinstance(part, (list, tuple)) and len(part) == n_users:
        if part and all(isinstance(one, tuple) and len(one) == 2 for one in part):
            raise InputError(
                f"{name} has a pair for each of {n_users} entries, which may be user and item or "
                "two items of each user; wanted an array (T, 2), or lists of items."
            )
        return user_lists.pairs_of(part, name, n_users, n_items)
    length = f" of {len(part)}" if isinstance(part, (list, tuple)) else ""
    raise InputError(
        f"{name} is {_kind(part)}{length}; wanted an array (T, 2) of user and item, a list of "
        f"{n_users} entries (an item, None or items of each user), or a matrix {n_users} × "
        f"{n_items}."
    )


def _of_matrix(matrix: Entries, name: str, shape: tuple[int, int]) -> tuple[Array, Array]:
    checks.same_shape({"the train matrix": shape, f"matrix {name!r}": matrix.shape})
    csr, _ = checks.interactions_of(matrix, f"matrix {name!r}")
    return row_of_each(csr), csr.indices


def _of_pairs(pairs: Array, name: str, shape: tuple[int, int]) -> tuple[Array, Array]:
    wanted = f"a user from 0 to {shape[0] - 1} and an item from 0 to {shape[1] - 1}"
    if pairs.dtype.kind not in "iu":
        raise InputError(f"{name} is {_kind(pairs)}; wanted whole numbers: {wanted}.")
    wrong = np.flatnonzero(((pairs < 0) | (pairs >= shape)).any(axis=1))
    if len(wrong):
        raise InputError(
            f"{name}, row {wrong[0]}: found {pairs[wrong[0]].tolist()}, wanted {wanted}."
        )
    return pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
