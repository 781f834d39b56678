from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpretrain.datasets import RepeatAugSampler, SequentialSampler
from mmpretrain.registry import HOOKS
from torch.utils.data import RandomSampler

from ...datasets import PositionedSampler
from ...utils import (
    ClassCounts,
    NeedsClassCounts,
    check_options,
    count_classes,
    list_digest,
    same_on_all_ranks,
    unwrapped_model,
)
from .class_balanced_queue_hook import ClassBalancedQueueHook
from .key_encoder_hook import KeyEncoderHook

# samplers that deliver every image about equally often, as the prior pi_c presumes
_EVEN_SAMPLERS = (DefaultSampler, InfiniteSampler, RepeatAugSampler, SequentialSampler,
                  RandomSampler)


@HOOKS.register_module()
@check_options
class ClassCountsHook(Hook):
    """Brings the class counts of the training dataset to every component that needs them.

    Before training it counts the labels of the training dataset, wrappers included, checks that
    data, model and ranks agree, hands the counts to the losses and metrics that work with them, and
    puts them into the dataset's ``metainfo``, which mmengine stores in every checkpoint. When
    a checkpoint is loaded for testing, metrics (and a ``PriorAdjustedHead``) get the counts from
    there.

    Raises:
        ValueError: before the first step, for labels out of range, a class without images, another
            number of classes than the head's, classes that differ between training and
            evaluation data, ranks that hold different lists, or a queue or key encoder without
            its hook.
    """

    # before EMAHook copies the model, and in before_run, before a checkpoint is resumed: mmengine
    # compares its metainfo with the dataset's
    priority = 'HIGH'

    def __init__(self) -> None:
        self._counts: ClassCounts | None = None
        self._names: Sequence[str] | None = None

    def before_run(self, runner: Runner) -> None:
        if isinstance(runner._train_loop, BaseLoop):  # else it is a test, or a validation alone
            ClassBalancedQueueHook.check_present(runner)
            KeyEncoderHook.check_present(runner)
            self._count(runner)
            if isinstance(runner._val_loop, BaseLoop):
                self._prepare(runner._val_loop, 'val_dataloader.dataset')

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
        if 'class_counts' in meta and not isinstance(runner._train_loop, BaseLoop):
            self._counts = ClassCounts.from_meta(meta['class_counts'])
            self._names = meta.get('classes')
            head_classes, trained = _head_classes(runner), len(self._counts.images)
            if head_classes not in (None, trained):
                raise ValueError(
                    f'model.head.num_classes={head_classes} but the checkpoint was trained with '
                    f'{trained} classes; set model.head.num_classes={trained}, or load another '
                    'checkpoint')
            for part in _parts_needing_counts(runner):
                part.set_class_counts(self._counts)

    def before_val(self, runner: Runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop):
            self._check_parts(runner)
            self._prepare(runner.val_loop, 'val_dataloader.dataset')

    def before_test(self, runner: Runner) -> None:
        self._check_parts(runner)
        self._prepare(runner.test_loop, 'test_dataloader.dataset')

    def _check_parts(self, runner: Runner) -> None:
        for part in _parts_needing_counts(runner):
            if self._counts is None:
                raise part._missing_counts()

    def _prepare(self, loop: Any, key: str) -> None:
        """Checks evaluation data against the training data and gives its metrics the counts."""
        if self._counts is None:
            return
        dataset = loop.dataloader.dataset
        _check_same_classes(self._names, _class_names(dataset), key)
        count_classes(dataset, len(self._counts.images), key)
        for metric in loop.evaluator.metrics:
            if isinstance(metric, NeedsClassCounts):
                metric.set_class_counts(self._counts)

    def _count(self, runner: Runner) -> None:
        dataset = runner.train_dataloader.dataset
        model = unwrapped_model(runner)
        names = _class_names(dataset)
        num_classes = _head_classes(runner) or (len(names) if names else None)
        if num_classes is None:
            raise ValueError('the number of classes is unknown: give model.head.num_classes')
        if names and len(names) != num_classes:
            raise ValueError(
                f'model.head.num_classes={num_classes} but the training data has {len(names)} '
                f'classes ({_few(names)}); set model.head.num_classes={len(names)}, or complete '
                'the data')
        counts = count_classes(dataset, num_classes)
        users = {name: module for name, module in model.named_modules()
                 if isinstance(module, NeedsClassCounts)}
        needing = [user for user in users.values() if user.needs_counts]
        self._check_every_class(runner, counts, names, needing)
        self._check_sampler(runner, needing)
        self._check_ranks(dataset)

        if isinstance(getattr(dataset, '_metainfo', None), dict):
            dataset._metainfo['class_counts'] = counts.to_meta()
        else:  # torch's own wrappers
            dataset.metainfo = dict(classes=names, class_counts=counts.to_meta())
        for name, user in users.items():
            try:
                user.set_class_counts(counts)
            except ValueError as error:
                key = name.replace('loss_module', 'loss')
                raise ValueError(f'model.{key}.class_counts: {error}') from error
        self._counts, self._names = counts, names

    @staticmethod
    def _check_every_class(runner: Runner, counts: ClassCounts, names: Any,
                           needing: list) -> None:
        empty = np.flatnonzero(np.array(counts.images) == 0)
        if empty.size:
            shown = ', '.join(f'{c} ({names[c]})' if names else str(c) for c in empty[:8])
            more = f' and {empty.size - 8} more' if empty.size > 8 else ''
            message = f'train_dataloader.dataset has no image of class {shown}{more}'
            if not needing:
                runner.logger.warning(message)
                return
            raise ValueError(
                f'{message}, and {type(needing[0]).__name__} needs every class; add images, or '
                'remove the class from the labels and lower model.head.num_classes '
                f'(now {len(counts.images)})')

    @staticmethod
    def _check_sampler(runner: Runner, needing: list) -> None:
        sampler = runner.train_dataloader.sampler
        if isinstance(sampler, PositionedSampler):
            sampler = sampler.sampler
        prior = [type(user).__name__ for user in needing if user.counts_field == 'samples']
        if prior and not isinstance(sampler, _EVEN_SAMPLERS):
            runner.logger.warning(
                f'{prior[0]} adjusts for the class prior of the dataset, but the sampler '
                f'{type(sampler).__name__} may change it; if it rebalances classes, use one of '
                'the two, or give the loss class_counts=[...] as the sampler delivers them')

    @staticmethod
    def _check_ranks(dataset: Any) -> None:
        if get_world_size() > 1 and not same_on_all_ranks(list_digest(dataset)):
            raise ValueError(
                'the ranks hold different training sets (other images, labels, or another order; '
                f'here {len(dataset)} items): give every rank the same list of images')


def _parts_needing_counts(runner: Runner) -> list[NeedsClassCounts]:
    """Parts of the model that work with the counts in evaluation too."""
    return [module for module in unwrapped_model(runner).modules()
            if isinstance(module, NeedsClassCounts) and module.needed_at_test
            and module.needs_counts]


def _check_same_classes(names: Any, others: Any, key: str) -> None:
    if not names or not others or list(names) == list(others):
        return
    missing, extra = sorted(set(names) - set(others)), sorted(set(others) - set(names))
    if missing or extra:
        how = f'only in training: {_few(missing)}; only in {key}: {_few(extra)}'
    else:
        first = next(i for i, (a, b) in enumerate(zip(names, others)) if a != b)
        how = (f'the same ones in another order: class {first} is {names[first]!r} in training, '
               f'{others[first]!r} here')
    raise ValueError(
        f'the training data has {len(names)} classes, {key} has {len(others)}, and they differ '
        f'({how}): labels would shift; give both the same class folders (one may be empty in the '
        'evaluation data) or the same list of classes. When testing: is it the right checkpoint?')


def _few(names: Sequence[str], most: int = 5) -> str:
    return ', '.join(map(str, names[:most])) + (', ...' if len(names) > most else '') or 'none'


def _head_classes(runner: Runner) -> int | None:
    model = unwrapped_model(runner)
    return getattr(getattr(model, 'head', None), 'num_classes', None)


def _class_names(dataset: Any) -> Any:
    names = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    return names or None
