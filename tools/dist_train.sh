#!/usr/bin/env bash
# Train on several GPUs, or with gloo on several CPU processes where there is no GPU.
# Usage: tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# Several nodes: set NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT on each.
exec "$(dirname "$0")/launch.sh" train.py 1 "$@"
