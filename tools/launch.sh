#!/usr/bin/env bash
# What dist_train.sh and dist_test.sh share: TOOL NUMBER_OF_FILES FILE... GPUS [options]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tool=$1 files=$2
shift 2
if [ $# -lt $((files + 1)) ]; then
    sed -n '2,/^exec/{/^# /s/^# //p}' "$here/dist_${tool%.py}.sh" >&2
    exit 2
fi
operands=("${@:1:$files}")
processes=${*:$((files + 1)):1}
shift $((files + 1))
if ! [[ $processes =~ ^[1-9][0-9]*$ ]]; then
    echo "the number of GPUs must be a positive integer, got '$processes'" >&2
    exit 2
fi
# exec: signals reach the launcher itself, and its exit code is this script's
exec python "$here/launch.py" "$processes" "$here/$tool" "${operands[@]}" --launcher pytorch "$@"
