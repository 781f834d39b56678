from __future__ import annotations

from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner


def unwrapped_model(runner: Runner) -> Any:
    """A runner's model, without the wrapper of distributed training."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
