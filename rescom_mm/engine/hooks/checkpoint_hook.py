from __future__ import annotations

from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, whose checkpoints hold the state of all ranks.

    Before rank 0 writes a training checkpoint, every rank calls ``gather_state(runner)`` of each
    hook that has it, where collectives are allowed.
    """

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        for hook in runner.hooks:
            if hasattr(hook, 'gather_state'):
                hook.gather_state(runner)
        super()._save_checkpoint_with_step(runner, step, meta)
