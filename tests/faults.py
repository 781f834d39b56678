"""Trainings with a loss that fails at given steps; every step's state is kept."""

import copy

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS, MODELS

from tests.runs import TINY, tiny_config


@MODELS.register_module()
class FaultyLoss(torch.nn.Module):
    """Cross-entropy; at the calls of ``faults`` (from 1) something else, on one rank or all.

    ``'nan'`` and ``'inf'`` are losses (the latter with finite gradients of its own),
    ``'overflow'`` is the loss of infinite scores, NaN as its gradients are, ``'gradient'`` an
    infinite gradient of a finite loss, ``'memory'`` a full device.
    """

    def __init__(self, faults, rank=None):
        super().__init__()
        self.faults = {int(call): kind for call, kind in faults.items()}
        self.rank = rank
        self.calls = 0

    def forward(self, cls_score, label, **kwargs):
        self.calls += 1
        kind = self.faults.get(self.calls) if self.rank in (None, get_rank()) else None
        if kind == 'gradient':
            cls_score.register_hook(lambda gradient: gradient * torch.inf)
        elif kind == 'overflow':
            cls_score = cls_score * torch.inf
        elif kind == 'memory':
            raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 MiB.')
        loss = torch.nn.functional.cross_entropy(cls_score, label)
        return loss + dict(nan=torch.nan, inf=torch.inf).get(kind, 0)


def state_of(runner):
    """Copies of weights, buffers, queue, optimiser state and averages, flat."""
    model = getattr(runner.model, 'module', runner.model)
    state = {f'model.{name}': value for name, value in model.state_dict().items()}
    optimizer = runner.optim_wrapper.optimizer.state_dict()['state']
    for index, entries in optimizer.items():
        state.update({f'optimizer.{index}.{name}': value for name, value in entries.items()})
    for hook in runner.hooks:
        if hasattr(hook, 'ema_model'):
            state.update({f'ema.{k}': v for k, v in hook.ema_model.state_dict().items()})
    return copy.deepcopy({name: value for name, value in state.items() if value is not None})


@HOOKS.register_module()
class RecordHook(Hook):
    """``runner.states``: the state before the first and after every iteration."""

    priority = 'LOWEST'

    def before_train(self, runner):
        runner.states = [state_of(runner)]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        runner.states.append(state_of(runner))


def only(state, prefix):
    return {name: value for name, value in state.items() if name.startswith(prefix)}


def same(a, b):
    """Whether two states are equal to the bit."""
    return a.keys() == b.keys() and all(
        torch.equal(torch.as_tensor(value), torch.as_tensor(b[name])) for name, value in a.items())


def finite(state):
    return all(torch.isfinite(torch.as_tensor(value)).all() for value in state.values())


def build(work_dir, faults, config=TINY, max_skipped=0, without=(), rank=None, iterations=7,
          **options):
    """A training of a few iterations of 8 images that writes a checkpoint after each."""
    cfg = tiny_config(
        work_dir, config=config, without=['results', *without], train_dataloader__batch_size=8,
        train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=iterations),
        default_hooks__record=dict(type='RecordHook'),
        default_hooks__checkpoint=dict(by_epoch=False, interval=1, max_keep_ckpts=-1), **options)
    cfg.model.head.loss = dict(type='FaultyLoss', rank=rank,
                               faults={str(call): kind for call, kind in faults.items()})
    if max_skipped:
        cfg.default_hooks.finite.max_skipped = max_skipped
    # Runner.from_cfg would format the whole config for each checkpoint, a second for the seven
    parts = ('model', 'work_dir', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'default_hooks',
             'load_from', 'resume', 'randomness', 'log_level', 'default_scope', 'experiment_name')
    return Runner(**{part: cfg[part] for part in parts}, launcher=cfg.get('launcher', 'none'),
                  cfg={part: cfg.get(part) for part in ('compile', 'model_wrapper_cfg')})
