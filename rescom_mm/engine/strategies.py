"""What does not go together with mmengine's ``FlexibleRunner`` and its strategies."""

from __future__ import annotations

from mmengine._strategy import FSDPStrategy
from mmengine.device import get_device
from mmengine.hooks import EMAHook
from mmengine.runner import FlexibleRunner, Runner

from ..models import SiameseClassifier


def check_strategy(runner: Runner) -> None:
    """Ends a training at its start that would fail, or could not be resumed, later.

    Raises:
        ValueError: for a ``FlexibleRunner`` with ``EMAHook``; for FSDP with a key encoder, with
            sharded checkpoints, with checkpoints that torch cannot gather on a CPU, or resumed.
    """
    if not isinstance(runner, FlexibleRunner):
        return
    if any(isinstance(hook, EMAHook) for hook in runner.hooks):
        # it loads before EMAHook has a model, and its checkpoints of DDP name weights otherwise
        raise ValueError('EMAHook cannot save or resume its averages with FlexibleRunner; remove '
                         'runner_type and strategy from the config, or remove EMAHook')
    if not isinstance(runner.strategy, FSDPStrategy):
        return
    if any(isinstance(module, SiameseClassifier) and module.key_encoder is not None
           for module in runner.model.modules()):
        raise ValueError('FSDPStrategy shards the weights of encoder and model.key_encoder apart, '
                         'so one cannot follow the other; use DDPStrategy or remove '
                         'model.key_encoder')
    if not runner.strategy._is_full_state_dict():
        raise ValueError('FSDPStrategy writes its checkpoints in shards that no tool here reads; '
                         "set strategy.state_dict_cfg='full', or use DDPStrategy")
    if get_device() == 'cpu' and runner.strategy.state_dict_config.offload_to_cpu:
        raise ValueError('FSDP without a GPU crashes when torch gathers a checkpoint; use '
                         'DDPStrategy, or state_dict_config and optim_state_dict_config with '
                         'offload_to_cpu=False')
    # it gives optim_state_dict_to_load its arguments in the order of torch 2.0
    message = "mmengine's FSDPStrategy cannot load an optimizer's state under this torch"
    if runner._resume:
        raise ValueError(f'--resume: {message}; start anew with DDPStrategy, or with FSDP from the '
                         'weights alone (load_from)')
    runner.logger.warning(f'{message}: this run cannot be resumed; use DDPStrategy if it must be')
