#!/usr/bin/env bash
# What slurm_train.sh and slurm_test.sh share: TOOL PARTITION JOB_NAME [arguments of the tool]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tool=$1 partition=$2 job=$3
shift 3
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
# srun passes signals on to the tasks and returns the highest of their exit codes. When one has
# ended, the others have 60 s: after a stop signal rank 0 leaves last, and none may be killed
# before, or its code would hide the others' 75.
# shellcheck disable=SC2086  # SRUN_ARGS holds several words
exec srun -p "$partition" --job-name="$job" --gres="gpu:$per_node" --ntasks="$gpus" \
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=0 --wait=60 \
    ${SRUN_ARGS:-} python -u "$here/$tool" "$@" --launcher slurm
