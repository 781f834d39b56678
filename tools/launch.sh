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
if [ "${NNODES:-1}" = 1 ]; then
    rendezvous=(--standalone)
else
    rendezvous=(--nnodes "$NNODES" --node-rank "${NODE_RANK:?set NODE_RANK to 0 ... NNODES-1}"
                --master-addr "${MASTER_ADDR:?set MASTER_ADDR to the address of node 0}"
                --master-port "${MASTER_PORT:-29500}")
fi
# exec: signals reach torchrun itself, and its exit code is this script's
exec python -m torch.distributed.run "${rendezvous[@]}" --nproc-per-node "$processes" \
    "$here/$tool" "${operands[@]}" --launcher pytorch "$@"
