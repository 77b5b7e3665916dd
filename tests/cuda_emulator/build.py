"""CUDA source → shared object for the emulator, by g++; kept under a hash of all that enters."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from pkef_fast.kernels.cuda import Instance, source_text

FOLDER = Path(__file__).parent

# Undefined behaviour is looked for in every run; the calls end in the runtime's reports.
UNDEFINED = (
    "-fsanitize=undefined",
    "-fno-sanitize=vptr,return",
    "-fno-sanitize-recover=all",
)
THREAD = ("-fsanitize=thread",)
COMMON = ("-std=c++17", "-g1", "-gdwarf-4", "-fPIC", "-shared", "-pthread", "-fno-strict-aliasing")
KERNEL = (
    "-O1",
    "-ffp-contract=off",
    "-fno-exceptions",
    "-fno-gnu-unique",  # else two libraries' functions of one name are one
    "-fno-omit-frame-pointer",
    "-Wno-unknown-pragmas",
    "-Wno-tsan",
    "-w",
)


@functools.cache
def cache_folder() -> Path:
    """Where compiled code is kept: build/ of the checkout, else the temporary folder."""
    folder = Path(__file__).parents[2] / "build" / "cuda-emulator"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="cuda-emulator-"))


@functools.cache
def compiler() -> tuple[str, str]:
    """g++ and its version; RuntimeError where there is none."""
    program = shutil.which(os.environ.get("CXX", "g++"))
    if program is None:
        raise RuntimeError("the CUDA emulator needs g++, which is not installed")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return program, version.stdout.splitlines()[0]


@functools.cache
def machine_flags() -> tuple[str, ...]:
    """Fused multiply-add as an instruction where the processor has it: 20 times libm's speed."""
    if platform.machine() != "x86_64":
        return ()
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ()
    return ("-mfma",) if " fma " in flags else ()


def compiled(text: str, flags: tuple[str, ...], *, suffix: str, parts: tuple[Path, ...] = ()):
    """Path of the shared object of `text`, compiled now or before."""
    program, version = compiler()
    headers = "".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.h")))
    key = hashlib.sha256(
        "\0".join([version, *flags, headers, *map(str, parts), text]).encode()
    ).hexdigest()[:24]
    target = cache_folder() / f"{suffix}-{key}.so"
    with _locks.setdefault(key, threading.Lock()):
        if not target.exists():
            _compile(program, flags, text, suffix, parts, target)
    return target


_locks: dict[str, threading.Lock] = {}


def _compile(program, flags, text, suffix, parts, target) -> None:
    with tempfile.TemporaryDirectory(dir=cache_folder()) as beside:
        source, output = Path(beside) / f"{suffix}.cpp", Path(beside) / "out.so"
        source.write_text(text, encoding="utf-8")
        command = [program, *flags, f"-I{FOLDER}", source, *parts, "-o", output]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise CompileError(f"{suffix} does not compile for the emulator:\n{done.stderr}")
        os.replace(output, target)


class CompileError(Exception):
    """A source that g++ refuses; the message is the compiler's."""


@functools.cache
def runtime(portable: bool = False) -> Path:
    """The runtime's shared object; `portable` switches fibers by ucontext instead of assembly."""
    flags = ("-O2", "-U_FORTIFY_SOURCE", *(("-DEMU_UCONTEXT",) if portable else ()))
    text = (FOLDER / "runtime.cpp").read_text(encoding="utf-8")
    return compiled(text, (*COMMON, *flags), suffix="runtime")


def kernel_library(
    source: Path, instances: tuple[Instance, ...], sanitizer: str, portable: bool
) -> ctypes.CDLL:
    """The loaded library of a source's instances."""
    text = rewrite_shared(source_text(source))
    flags = (
        *COMMON,
        *KERNEL,
        *machine_flags(),
        *{"undefined": UNDEFINED, "thread": THREAD}[sanitizer],
    )
    path = compiled(
        '#include "emulator.h"\n' + text + _table(text, instances),
        flags,
        suffix=source.stem,
        parts=(runtime(portable),),
    )
    return ctypes.CDLL(str(path), mode=os.RTLD_NOW | os.RTLD_LOCAL)


def _table(text: str, instances: tuple[Instance, ...]) -> str:
    """C++ that lists the instances, with the types of their parameters."""
    lines = ['#line 1 "instances"']
    if re.search(r"\bstruct Pointers\b", text):
        lines += [
            "namespace emu {",
            "template <typename T, int N> struct Name<Vec<T, N>> : Name<T> {};",
            "template <typename T> struct Describe<Pointers<T>> {",
            "    using Bare = typename Plain<T>::type;",
            "    static constexpr Parameter value = {Name<Bare>::value, 2, Plain<T>::constant,",
            "                                        sizeof(Pointers<T>), Align<Bare>::value};",
            "};",
            "}",
        ]
    entries = ", ".join(f"&emu::Call<({one.name})>::value" for one in instances)
    lines += [
        'extern "C" { extern const emu::Kernel* const emu_kernels[];',
        f"const emu::Kernel* const emu_kernels[] = {{{entries}}}; }}",
    ]
    return "\n".join(lines) + "\n"


_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_SHARED = re.compile(r"\b(?P<dynamic>extern\s+)?__shared__\s+(?P<rest>[^;]+);")
_ALIGNMENT = re.compile(r"\b(?:__align__|alignas)\s*\([^)]*\)\s*")
_DECLARATOR = re.compile(r"^(?P<type>.*?)\s*\b(?P<name>\w+)\s*(?P<sizes>(?:\[.*\])*)$", re.DOTALL)


def rewrite_shared(text: str) -> str:
    """`__shared__` declarations as references into the block's guarded memory.

    A key of its own marks each declaration, in each instance of a template.
    """
    # A comment may hold the word; its line breaks stay, so that lines keep their numbers.
    text = _COMMENT.sub(lambda m: "\n" * m[0].count("\n") or " ", text)
    return _SHARED.sub(lambda m: _references(m), text)


def _references(match: re.Match) -> str:
    rest = _ALIGNMENT.sub("", " ".join(match["rest"].split()))
    kind, out = None, []
    for piece in _split(rest):
        found = _DECLARATOR.match(piece.strip())
        if found is None:
            raise CompileError(f"cannot read the declaration `__shared__ {rest};`")
        kind, name, sizes = found["type"] or kind, found["name"], found["sizes"]
        if match["dynamic"]:
            out.append(f"{kind}* {name} = static_cast<{kind}*>(emu::dynamic_shared());")
            continue
        own = f"{name}_shared_type"
        out.append(
            f"typedef {kind} {own}{sizes}; static const char {name}_shared_key = 0; "
            f"{own}& {name} = *static_cast<{own}*>("
            f'emu::shared(&{name}_shared_key, sizeof({own}), "{name}"));'
        )
    return " ".join(out) + "\n" * match[0].count("\n")


def _split(text: str) -> list[str]:
    """`text` at its commas outside of brackets."""
    pieces, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "<([{") - (letter in ">)]}")
        if letter == "," and depth == 0:
            pieces.append(text[start:i])
            start = i + 1
    return [*pieces, text[start:]]


def parameter_names(text: str, function: str) -> list[str]:
    """Names of a `__global__` function's parameters, for reports."""
    text = _COMMENT.sub(" ", text)
    found = re.search(rf"__global__[^;{{}}]*?\b{re.escape(function)}\s*\(", text)
    if found is None:
        return []
    depth, end = 1, found.end()
    while depth and end < len(text):
        depth += (text[end] == "(") - (text[end] == ")")
        end += 1
    words = [re.findall(r"\w+", piece) for piece in _split(text[found.end() : end - 1])]
    return [piece[-1] for piece in words if piece]
