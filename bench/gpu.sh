#!/usr/bin/env bash
# The GPU gate: tests with CuPy, compute-sanitizer, benchmarks; one results file within ten minutes.
#
#     bench/gpu.sh [DATA_DIR]        DATA_DIR holds taobao's files; without it: synthetic data
#
# Uses $PYTHON (default: .venv/bin/python, else python3). Writes bench/results/gpu-<date>.md.
# Exit code 3 where there is no GPU, 1 where a check fails.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
results=bench/results/gpu-$(date +%F).md

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
    text="No GPU gate here: $missing Nothing was run, and no figure is claimed."
    printf '# GPU gate, %s\n\n%s\n' "$(date +%F)" "$text" >"$results"
    echo "$text" >&2
    exit 3
fi

failed=0
{
    echo "# GPU gate, $(date +%F), commit $(git rev-parse --short HEAD)"
    echo
    echo '```'
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
    "$python" -c "import cupy; print('CuPy', cupy.__version__)"
    echo '```'
} >"$results"

check() { # check NAME SECONDS COMMAND…: run it, and note how it ended
    local name=$1 seconds=$2 log
    shift 2
    log=$(mktemp)
    echo "== $name" >&2
    if timeout "$seconds" "$@" >"$log" 2>&1; then
        printf '\n## %s: passed\n\n```\n%s\n```\n' "$name" "$(tail -n 3 "$log")" >>"$results"
    else
        failed=1
        printf '\n## %s: FAILED\n\n```\n%s\n```\n' "$name" "$(tail -n 60 "$log")" >>"$results"
        tail -n 20 "$log" >&2
    fi
    rm -f "$log"
}

check "tests" 180 "$python" -m pytest -q -m gpu tests
check "fixtures" 60 "$python" -m pytest -q tests/test_fixtures.py --device cuda:0 -m gpu

if command -v compute-sanitizer >/dev/null; then
    # Kernels by themselves: hypothesis' many shapes would take hours here, so the fixed ones.
    for tool in memcheck racecheck initcheck; do
        check "compute-sanitizer $tool" 90 compute-sanitizer --tool "$tool" --error-exitcode 9 \
            "$python" -m pytest -q -p no:cacheprovider -m gpu -x \
            tests/kernels -k "hubs or isolated or no_rows or evenly or even or closed or extremes"
    done
else
    failed=1
    printf '\n## compute-sanitizer: not installed\n' >>"$results"
fi

echo "== benchmarks" >&2
data=()
[ $# -gt 0 ] && data=(--dataset taobao --data-dir "$1")
echo >>"$results"
timeout 120 "$python" bench/gpu.py "${data[@]}" >>"$results" || failed=1
echo "$results" >&2
exit $failed
