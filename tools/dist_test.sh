#!/usr/bin/env bash
# Test a checkpoint on several GPUs, or with gloo on several CPU processes.
# Usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
exec "$(dirname "$0")/launch.sh" test.py 2 "$@"
