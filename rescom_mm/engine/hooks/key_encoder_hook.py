from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...models import SiameseClassifier
from ...utils import check_options, unwrapped_model


@HOOKS.register_module()
@check_options
class KeyEncoderHook(Hook):
    """Lets the key encoder of a ``SiameseClassifier`` follow the encoder, as in MoCo.

    The key encoder starts as a copy of the encoder, in whatever state training starts from:
    initialised, pretrained, or loaded by ``load_from``. After every step of the optimiser it moves
    towards the encoder; in an iteration that only accumulates gradients it stays. (MoCo moves it
    at the beginning of the next forward pass, which is the same weights at the same time; but a
    forward pass may be one of several of a step, under gradient accumulation, or be repeated,
    under gradient checkpointing.) ``--resume`` restores it. A model without a key encoder is left
    alone.
    """

    priority = 'NORMAL'

    @staticmethod
    def check_present(runner: Runner) -> None:
        """Raises a ``ValueError`` if the model has a key encoder and the runner no such hook."""
        if _model(runner) is not None and not any(
                isinstance(hook, KeyEncoderHook) for hook in runner.hooks):
            raise ValueError(
                'model.key_encoder is set but no hook updates it, so it would stay as it was '
                "initialised; add `default_hooks = dict(key_encoder=dict(type='KeyEncoderHook'))` "
                'to the config (configs/_base_/default_runtime.py has it)')

    def before_train(self, runner: Runner) -> None:
        model = _model(runner)
        # (0 steps with --resume: there was no checkpoint to resume, or none with a key encoder)
        if model is not None and not (runner._resume and model.key_encoder_steps):
            model.reset_key_encoder()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        model = _model(runner)
        if model is None:
            return
        wrapper = runner.optim_wrapper
        # the wrapper has counted this iteration already: whether it has made a step in it
        if not isinstance(wrapper, OptimWrapper) or wrapper.should_update():
            model.update_key_encoder()


def _model(runner: Runner) -> SiameseClassifier | None:
    """The model, where it has a key encoder."""
    model = unwrapped_model(runner)
    return model if getattr(model, 'key_encoder', None) is not None else None
