"""The layout of one text file a behaviour: `<behaviour>.txt` and `test.txt`.

As in the data of GHCF and EHCF (the target is in `train.txt`), MBGCN (`data_size.txt`, and
`validation.txt`), CascadingRank (`valid.txt`, `statistics.json`), and CRGCN and those after it
(`<behaviour>_dict.txt`, `test_dict.txt`, `count.txt`), each alone or with others.

A file holds lines of numbers or a JSON object; see `pair_files`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import names, paired
from .dataset import Dataset
from .pair_files import holds_pairs

TEST, TRAIN = "test", "train"
_DICT = "_dict"


def holds(folder: Path) -> bool:
    """Whether a folder looks like this layout."""
    files = _files(folder)
    return _first(files, (TEST,)) is not None and bool(_split(files)[0] or _first(files, (TRAIN,)))


complete = holds


def read(
    folder: Path,
    behaviors: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
) -> Dataset:
    """The data set of a folder in this layout."""
    files = _files(folder)
    found, others = _split(files)
    return paired.read(
        folder,
        paired.Files(
            behaviors={name: files[name] for name in found},
            asked_for={name: files[name] for name in others},
            test=_first(files, (TEST,)),
            validation=_first(files, names.VALIDATION),
            train=_first(files, (TRAIN,)),
        ),
        behaviors,
        expected,
    )


def _files(folder: Path) -> dict[str, Path]:
    """Text files by what they are called; a list of lines goes before an object of the same."""
    found: dict[str, Path] = {}
    paths = [path for path in folder.iterdir() if path.is_file()]
    for path in sorted(paths, key=lambda path: (path.stem.endswith(_DICT), path.name)):
        ending = path.suffix.lower()
        if ending == ".txt" or (ending == ".json" and path.stem.endswith(_DICT)):
            found.setdefault(path.stem.removesuffix(_DICT), path)
    return found


def _first(files: dict[str, Path], stems: Sequence[str]) -> Path | None:
    lower = {name.lower(): path for name, path in files.items()}
    return next((lower[stem] for stem in stems if stem in lower), None)


def _split(files: dict[str, Path]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Behaviours, and what is one only where it is asked for."""
    parts = {TEST, *names.VALIDATION}
    stems = [name for name in files if name.lower() not in parts]
    free = [name for name in stems if name.lower() != TRAIN]
    found = names.behaviors_of(free, has_target=len(free) < len(stems))
    # A known name is a behaviour whatever is in the file, and a wrong line in it is named.
    found = tuple(
        name for name in found if names.stage(name) is not None or holds_pairs(files[name])
    )
    return found, tuple(name for name in stems if name not in found)
