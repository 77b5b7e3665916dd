"""The layout of the authors' release: `trn_<behaviour>` and `tst_int`, or `tst_<target>`.

In the release `trn_<behaviour>` is a pickled U × I SciPy sparse matrix, `tst_int` a pickled list or
array of length U whose entry u is the held-out item of user u, None, or a list of items; .npz
matrices are read as well. In the data of VCGAE all are text, `user item` a line, with the test in
`tst_<target>` and a validation part in `vld_<target>`; a file says itself which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import checks, names, paired
from .dataset import Dataset
from .of_matrices import Stems, read_folder
from .pair_files import is_text
from .stems import behaviors_in, find, find_any, stems_in

TRAIN, TEST = "trn_", "tst_int"
VALIDATION = ("vld_", "val_", "valid_")
ENDINGS = ("", ".txt")  # of text


def holds(folder: Path) -> bool:
    """Whether a folder looks like this layout."""
    return bool(behaviors_in(folder, TRAIN)) or find(folder, TEST) is not None


def complete(folder: Path) -> bool:
    """Whether it has train and test files of this layout."""
    return bool(behaviors_in(folder, TRAIN)) and find_any(folder, _held_out(folder)) is not None


def _held_out(folder: Path) -> tuple[str, ...]:
    """Stems that the test may have."""
    return (TEST, *(f"tst_{name}" for name in _names(folder)))


def _names(folder: Path) -> tuple[str, ...]:
    """All behaviours that have a train file, the usual target first."""
    found = tuple(name.removesuffix(".txt") for name in stems_in(folder, TRAIN))
    return tuple(sorted(found, key=lambda name: (not names.is_target(name), name)))


def read(
    folder: Path,
    behaviors: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
) -> Dataset:
    """The data set of a folder in this layout."""
    found = _names(folder)
    text = {name: find(folder, TRAIN + name, ENDINGS) for name in found}
    text = {name: path for name, path in text.items() if path is not None}
    filled = [path for path in text.values() if path.stat().st_size]
    if filled and all(map(is_text, filled)):
        return _read_text(folder, text, behaviors, expected)
    test = next((stem for stem in _held_out(folder) if find(folder, stem)), TEST)
    target = None if test == TEST else test.removeprefix("tst_")
    ends = dict.fromkeys(("int", *([target] if target else found)))
    stems = Stems(TRAIN, test, tuple(a + b for a in VALIDATION for b in ends), target)
    # So are all data sets that came in this layout (spec "Data facts").
    return read_folder(folder, stems, behaviors, expected, leave_out="target")


def _read_text(
    folder: Path,
    text: dict[str, Path],
    behaviors: Sequence[str] | None,
    expected: Sequence[str] | None,
) -> Dataset:
    mixed = names.mixtures(text)
    test = find_any(folder, (f"tst_{end}" for end in ("int", *_names(folder))), ENDINGS)
    if test is None:
        checks.existing_files(folder, {TEST: None}, [*(TRAIN + name for name in text), TEST])
    end = test.name.removesuffix(".txt").removeprefix("tst_")
    stems = (prefix + one for prefix in VALIDATION for one in dict.fromkeys((end, "int")))
    return paired.read(
        folder,
        paired.Files(
            behaviors={name: path for name, path in text.items() if name not in mixed},
            asked_for={name: text[name] for name in mixed},
            test=test,
            validation=find_any(folder, stems, ENDINGS),
            target=None if end == "int" else end,
            mixed=tuple(text[name] for name in mixed),
            notes=names.mixed_note([text[name].name for name in mixed]),
        ),
        behaviors,
        expected,
    )
