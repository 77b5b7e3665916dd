"""The restricted reader of pickles: it reads arrays of any NumPy and SciPy, and runs nothing."""

from __future__ import annotations

import collections
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.data import unpickle
from pkef_fast.data.sparse import SPARSE_FORMATS, Entries
from pkef_fast.errors import InputError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
WANTED = "a list of numbers"


def load(folder, content: bytes):
    path = folder / "file.pkl"
    path.write_bytes(content)
    return unpickle.load(path, WANTED)


def refusal(folder, content: bytes) -> str:
    """The sentence with which a pickle is refused."""
    with pytest.raises(InputError) as error:
        load(folder, content)
    said = str(error.value)
    assert said.startswith(str(folder / "file.pkl"))
    assert WANTED in said
    assert "\n" not in said
    return said


def dense(entries: Entries) -> np.ndarray:
    found = np.zeros(entries.shape)
    np.add.at(found, (entries.rows, entries.columns), entries.values)
    return found


# ---- what is read --------------------------------------------------------------------------------

ARRAYS = {
    **{
        one: np.arange(6).reshape(2, 3).astype(one)
        for one in ("i1", "u1", "<i2", ">i4", "<u4", "<i8", ">u8", "<f2", ">f4", "<f8", "?")
    },
    "Fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(12.0)[::2],
    "empty": np.empty((0, 3), np.int32),
    "a number": np.array(7.5),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_numbers(tmp_path, name, protocol):
    found = load(tmp_path, pickle.dumps(ARRAYS[name], protocol))
    np.testing.assert_array_equal(found, ARRAYS[name], strict=False)
    assert found.shape == ARRAYS[name].shape
    assert found.dtype == ARRAYS[name].dtype.newbyteorder("=")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_objects(tmp_path, protocol):
    array = np.empty(4, object)
    array[:] = [None, 3, [1, 2], np.array([4, 5], np.int32)]
    found = load(tmp_path, pickle.dumps(array, protocol))
    assert found.dtype == object
    assert found[:3].tolist() == [None, 3, [1, 2]]
    assert found[3].tolist() == [4, 5]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_and_numbers_of_numpy(tmp_path, protocol):
    content = [
        None,
        True,
        2**70,
        1.5,
        "ü",
        b"\xff",
        (1, [2, {"a": 3}]),
        np.int64(-4),
        np.float32(2),
    ]
    found = load(tmp_path, pickle.dumps(content, protocol))
    assert found == content
    assert [type(one) for one in found[-2:]] == [int, float]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", SPARSE_FORMATS)
@pytest.mark.parametrize("family", ["matrix", "array"])
def test_sparse_matrices_of_every_format(tmp_path, family, kind, protocol):
    wanted = np.array([[0, 2, 0, 0], [3, 0, 0, 1]])
    matrix = getattr(sp, f"{kind}_{family}")(wanted)
    found = load(tmp_path, pickle.dumps(matrix, protocol))
    assert isinstance(found, Entries)
    np.testing.assert_array_equal(dense(found), wanted)


def test_a_matrix_that_occurs_twice_is_made_once(tmp_path):
    matrix = sp.csr_matrix(np.eye(3))
    one, other = load(tmp_path, pickle.dumps([matrix, matrix]))
    assert one is other


# Up to protocol 3 names are lines of text, so that another version's can be put in their place.
@pytest.mark.parametrize("protocol", [0, 2, 3])
@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
@pytest.mark.parametrize("room", [b"scipy.sparse.csr", b"scipy.sparse._csr"])
def test_names_of_older_and_newer_versions(tmp_path, protocol, core, room):
    content = pickle.dumps([sp.csr_matrix(np.eye(2)), np.arange(3)], protocol)
    content = content.replace(b"numpy._core", b"numpy.core").replace(b"numpy.core", core)
    content = content.replace(b"scipy.sparse._csr", b"scipy.sparse.csr")
    content = content.replace(b"scipy.sparse.csr", room)
    assert core in content
    assert room in content
    matrix, array = load(tmp_path, content)
    np.testing.assert_array_equal(dense(matrix), np.eye(2))
    assert array.tolist() == [0, 1, 2]


def test_a_pickle_of_python_2(tmp_path):
    """As Python 2.7 wrote np.arange(3): text in place of bytes."""
    data = "".join(f"\\x0{n}" + "\\x00" * 7 for n in range(3))
    content = (
        "cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\ntp4\n"
        "Rp5\n(I1\n(L3L\ntp6\ncnumpy\ndtype\np7\n(S'i8'\np8\nI0\nI1\ntp9\nRp10\n(I3\nS'<'\np11\n"
        f"NNNI-1\nI-1\nI0\ntp12\nbI00\nS'{data}'\np13\ntp14\nb."
    )
    assert load(tmp_path, content.encode()).tolist() == [0, 1, 2]


# ---- what is refused -----------------------------------------------------------------------------


class Runs:
    """Pickled, it calls a function when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


CALLS = {
    "os.system": lambda mark: Runs(os.system, f"touch {mark}"),
    "subprocess": lambda mark: Runs(subprocess.call, ["touch", str(mark)]),
    "eval": lambda mark: Runs(eval, f"open({str(mark)!r}, 'w')"),
    "exec": lambda mark: Runs(exec, f"open({str(mark)!r}, 'w')"),
    "open": lambda mark: Runs(open, str(mark), "w"),
    "getattr": lambda mark: Runs(getattr, "", "join"),
    "a class of one's own": lambda mark: Runs(collections.OrderedDict),
}
NESTS = {
    "alone": lambda one: one,
    "in a list": lambda one: [1, one],
    "in a tuple in a dict": lambda one: {"a": (1, (one,))},
    "a key's value": lambda one: {1: one},
    "in an array of objects": lambda one: np.array([None, one], object),
    "as a matrix's part": lambda one: _with_part(one),
}


def _with_part(one):
    matrix = sp.csr_matrix(np.eye(2))
    matrix.data = np.array([one, None], object)
    return matrix


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_refused_and_not_made(tmp_path, name, nest, protocol):
    mark = tmp_path / "mark"
    content = pickle.dumps(NESTS[nest](CALLS[name](mark)), protocol)
    said = refusal(tmp_path, content)
    assert "may run code and was not loaded" in said
    assert not mark.exists()


def test_the_calls_above_would_be_made_by_pickle_itself(tmp_path):
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(CALLS["os.system"](mark)))
    assert mark.exists()


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def named(module: str, name: str) -> bytes:
    """Protocol 4's way to a name, which may have dots in it."""
    return b"\x80\x04" + short(module) + short(name) + b"\x93"


PROGRAMS = {
    "a name by itself": b"cposix\nsystem\n.",
    "INST": b"(S'true'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'true'\no.",
    "NEWOBJ": b"\x80\x02cbuiltins\nobject\n)\x81.",
    "dots into a function": named("numpy.core.multiarray", "scalar.__globals__") + b".",
    "dots into a class": named("numpy", "ndarray.__class__") + b".",
    "dots into a module": named("numpy", "os.system") + b".",
    "another name of NumPy": b"cnumpy\nload\n.",
    "a file of NumPy": b"cnumpy\nfromfile\n.",
    "a name of SciPy": b"cscipy.sparse\nload_npz\n.",
    "a persistent number": b"Pid\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "a buffer out of band": b"\x80\x05\x97.",
    "a state for a class": b"cnumpy\nndarray\n}S'text'\nS'x'\nsb.",
    "a state for a function": b"cnumpy\ndtype\n}S'_function'\nNsb.",
    "a type of records": b"cnumpy\ndtype\n(S'i8'\nI0\nI1\ntR(I3\nS'<'\nNS'ab'\nNI-1\nI-1\nI0\ntb.",
    "a type of text": b"cnumpy\ndtype\n(S'U7'\nI0\nI1\ntR.",
    "a class in place of an array": b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\ndict\n"
    b"(I0\ntS'b'\ntR.",
    "an array without data": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\n"
    b"tS'b'\ntR.",
    "an object": b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.",
    "bytes out of a number": b"cbuiltins\nbytes\n(I1000000000000\ntR.",
    "other text": b"c_codecs\nencode\n(S'a'\nS'utf-7'\ntR.",
    "a set": b"\x80\x04\x8f.",
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    "deep lists": b"\x80\x02" + b"]" * 40 + b"a" * 39 + b".",
    "very deep lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "nothing": b"",
    "text": b"user,item\n1,2\n",
    "an unknown protocol": b"\x80\x7f.",
    "an empty stack": b".",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_that_no_numpy_writes_are_refused(tmp_path, name):
    refusal(tmp_path, PROGRAMS[name])


def array_program(shape: bytes, data: bytes = b"S''\n", kind: bytes = b"S'i8'\n") -> bytes:
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n("
        + shape
        + b"tcnumpy\ndtype\n("
        + kind
        + b"I0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
        + data
        + b"tb."
    )


HUGE = {
    "a large array of nothing": array_program(b"L1000000000000L\n"),
    "a size beyond 64 bits": array_program(b"L4294967296L\nL4294967296L\n"),
    "a negative size": array_program(
        b"I-1\nI-1\n", b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'\n"
    ),
    "a size that is a truth value": array_program(b"I01\n", b"S'\\x00'\n", b"S'i1'\n"),
    "fewer bytes than numbers": array_program(b"I2\n", b"S'\\x00'\n"),
    "fewer objects than entries": array_program(b"L1000000000000L\n", b"(lN", b"S'O8'\n"),
    "text of 2^62 letters": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"a.",
    "bytes of 2^62": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"a.",
    "text of 4 GiB": b"\x80\x04X" + struct.pack("<I", 2**32 - 1) + b"a.",
    "a number of 2 GiB": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"a.",
    "a number of negative size": b"\x80\x02\x8b" + struct.pack("<i", -1) + b"a.",
    "a frame of 2^62": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "bytes to be changed, of 1 TiB": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"a.",
    "an object that was never kept": b"\x80\x02j\xff\xff\xff\xff.",
}


@pytest.mark.parametrize("name", HUGE)
def test_sizes_that_are_not_there_are_refused(tmp_path, name):
    refusal(tmp_path, HUGE[name])


def test_no_size_takes_memory(tmp_path):
    """All of them in a process that may take 1 GiB more than it has when it begins."""
    kept = {  # an object kept under a large number is odd, but whole
        "r": b"\x80\x02]r" + struct.pack("<I", 2**31 - 1) + b".",
        "p": b"(lp2147483647\n.",
    }
    for name, content in {**HUGE, **kept}.items():
        (tmp_path / f"{name}.pkl").write_bytes(content)
    code = """if True:
        import pathlib, resource, sys
        from pkef_fast.data import unpickle
        from pkef_fast.errors import InputError
        pages = int(pathlib.Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        limit = pages * resource.getpagesize() + 2**30
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
            try:
                print(unpickle.load(path))
            except InputError:
                pass
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024 < 100)
    """
    command = [sys.executable, "-c", code, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == ["[]", "[]", "True"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_any_cut_is_refused(tmp_path, protocol):
    content = pickle.dumps([sp.csr_matrix(np.eye(3)), np.arange(3), [None, 5]], protocol)
    for length in range(0, len(content), 7):
        refusal(tmp_path, content[:length])


def test_a_name_with_a_line_break_is_refused_in_one_line(tmp_path):
    content = b"\x80\x04\x8c\x03a\nb\x8c\x01c\x93."
    assert "a\\nb.c" in refusal(tmp_path, content)


def test_a_bytearray_longer_than_its_file_is_refused_before_it_is_made(tmp_path):
    """Pickle's own reader would fill 64 GiB with zeros first, and take minutes."""
    content = b"\x80\x05\x96" + (2**36).to_bytes(8, "little") + b"short."
    assert "68719476736 bytes in a file of 17" in refusal(tmp_path, content)
    whole = pickle.dumps(np.arange(5), 5)
    assert pickle.BYTEARRAY8 in pickle.dumps(bytearray(300), 5)
    np.testing.assert_array_equal(load(tmp_path, whole), np.arange(5))


@settings(deadline=None)
@given(
    protocol=st.sampled_from(PROTOCOLS),
    place=st.floats(0, 1, exclude_max=True),
    byte=st.integers(0, 255),
)
def test_a_damaged_byte_gives_a_content_or_a_sentence(tmp_path_factory, protocol, place, byte):
    content = bytearray(pickle.dumps([sp.csr_matrix(np.eye(2)), np.arange(2)], protocol))
    content[int(place * len(content))] = byte
    try:
        load(tmp_path_factory.getbasetemp(), bytes(content))
    except InputError as error:
        assert "\n" not in str(error)


def test_a_file_that_is_not_there_or_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"does not exist; wanted a list of numbers"):
        unpickle.load(tmp_path / "none.pkl", WANTED)
    with pytest.raises(InputError, match=r"cannot be read: Is a directory; wanted a list"):
        unpickle.load(tmp_path, WANTED)
