#!/usr/bin/env bash
# The GPU gate: tests with CuPy, compute-sanitizer, benchmarks; one results file within ten minutes.
#
#     bench/gpu.sh [--dry-run] [DATA_DIR]    DATA_DIR holds taobao's files; without it: synthetic data
#
# Uses $PYTHON (default: .venv/bin/python, else python3) and writes $RESULTS (default:
# bench/results/gpu-<date>.md). --dry-run prints what would run, each with its limit of seconds.
# Exit code 2 where there is no GPU, 1 where a check fails.
set -uo pipefail
cd "$(dirname "$0")/.."
dry=
if [ "${1-}" = --dry-run ]; then
    dry=1
    shift
fi
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
results=${RESULTS:-bench/results/gpu-$(date +%F).md}
failed=0

limited() { # limited SECONDS COMMAND…: run it, or print it
    if [ -n "$dry" ]; then
        echo "$*"
    else
        timeout "$@"
    fi
}

check() { # check NAME SECONDS COMMAND…: run it, and note how it ended
    local name=$1 log
    shift
    if [ -n "$dry" ]; then
        limited "$@"
        return
    fi
    log=$(mktemp)
    echo "== $name" >&2
    if limited "$@" >"$log" 2>&1; then
        printf '\n## %s: passed\n\n```\n%s\n```\n' "$name" "$(tail -n 3 "$log")" >>"$results"
    else
        failed=1
        printf '\n## %s: FAILED\n\n```\n%s\n```\n' "$name" "$(tail -n 60 "$log")" >>"$results"
        tail -n 20 "$log" >&2
    fi
    rm -f "$log"
}

if [ -z "$dry" ]; then
    missing=$("$python" - <<'PY'
from pkef_fast import DeviceError
from pkef_fast.device import device
try:
    device("cuda:0")
except DeviceError as error:
    print(error)
PY
    ) || { echo "pkef_fast cannot be imported by $python" >&2; exit 1; }
    if [ -n "$missing" ]; then
        text="No GPU was available: $missing Nothing was run or timed, and no figure is claimed."
        printf '# GPU gate, %s\n\n%s\n' "$(date +%F)" "$text" >"$results"
        echo "$text" >&2
        exit 2
    fi
    {
        echo "# GPU gate, $(date +%F), commit $(git rev-parse --short HEAD)"
        echo
        echo '```'
        nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
        "$python" -c "import cupy; print('CuPy', cupy.__version__)"
        echo '```'
    } >"$results"
fi

check "tests" 150 "$python" -m pytest -q -m gpu tests
check "fixtures" 60 "$python" -m pytest -q tests/test_fixtures.py --device cuda:0 -m gpu

# Every kernel once: the tests' many shapes would take hours under these tools.
if [ -n "$dry" ] || command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck; do
        check "compute-sanitizer $tool" 60 compute-sanitizer --tool "$tool" --error-exitcode 9 \
            "$python" tests/every_kernel.py --device 0
    done
else
    failed=1
    printf '\n## compute-sanitizer: not installed\n' >>"$results"
fi

bench=("$python" bench/gpu.py)
[ $# -gt 0 ] && bench+=(--dataset taobao --data-dir "$1")
if [ -n "$dry" ]; then
    limited 180 "${bench[@]}"
    exit 0
fi
echo "== benchmarks" >&2
echo >>"$results"
limited 180 "${bench[@]}" >>"$results" || failed=1
echo "$results" >&2
exit $failed
