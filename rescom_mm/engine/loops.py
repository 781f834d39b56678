"""mmengine's training loops, able to begin inside an epoch.

They know how far in the data a training is from the iterations it has done, and not from what
the data loader has given, which runs ahead.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.hooks import SyncBuffersHook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn
from torch.utils.data import BatchSampler, IterableDataset

from ..datasets import PositionedSampler, SeededDataset
from ..utils import iterating, rebuild_loader, stop_workers


class ResumableLoop:
    """What both loops share. ``make_resumable`` makes one of a stock loop.

    A position in the data is a pair: number of the pass through it, from 0, and samples that all
    ranks together have consumed in that pass.
    """

    runner: Any
    dataloader: Any
    _iter: int
    #: iteration of the last validation
    validated: int | None = None
    # where this run entered the present pass: its number, the iteration, and the samples of this
    # rank that were consumed before
    _entered = (0, 0, 0)
    _resumed = False

    @property
    def sampler(self) -> PositionedSampler:
        """The sampler of the data loader."""
        return self.dataloader.sampler

    @property
    def global_batch(self) -> int:
        """Images of all ranks in one iteration."""
        return self.dataloader.batch_size * self.sampler.world_size

    def resume(self, number: int, samples: int, iteration: int) -> int:
        """Goes on from a position in the data.

        Args:
            number: of the pass.
            samples: that were consumed in it.
            iteration: iterations of the training so far.

        Returns:
            The iterations so far, counted in batches of the size that they have now.
        """
        self._resumed = True
        self._entered = (number, iteration, samples // self.sampler.world_size)
        return iteration

    def position(self, meta: dict) -> tuple[int, int]:
        """The position after the epochs and iterations of a checkpoint's ``meta``."""
        number, iteration, consumed = self._entered
        done = (meta['iter'] - iteration) * self.global_batch
        return number, consumed * self.sampler.world_size + done

    def usual_position(self, meta: dict) -> tuple[int, int]:
        """The position, if the training has been like this one from its beginning."""
        raise NotImplementedError

    def _begin_pass(self, number: int, consumed: int) -> None:
        self._entered = (number, self._iter, consumed)
        self.sampler.start(number, consumed)

    def run(self) -> nn.Module:
        """Launches training."""
        try:
            return self._train()
        finally:
            for loop in (self, self.runner._val_loop):
                if isinstance(loop, BaseLoop):
                    stop_workers(loop.dataloader)

    def _train(self) -> nn.Module:
        raise NotImplementedError

    def _validation_is_due(self) -> bool:
        raise NotImplementedError

    def _validate_again(self) -> None:
        """What the stopped run did, or would have done, right after the checkpoint."""
        self.runner.message_hub.update_info('iter', self._iter - 1)  # that of the last iteration
        self._validate()

    def _validate(self) -> None:
        if self.runner.val_loop is not None and self._validation_is_due():
            self.runner.val_loop.run()


class ResumableEpochLoop(ResumableLoop, EpochBasedTrainLoop):
    """``EpochBasedTrainLoop`` that can go on inside an epoch, and run a missed validation."""

    def resume(self, number: int, samples: int, iteration: int) -> int:
        super().resume(number, samples, iteration)
        # so that the epoch ends where an epoch has to
        iteration = number * len(self.dataloader) + self._first_batch()
        self._entered = (number, iteration, self._entered[2])
        return iteration

    def position(self, meta: dict) -> tuple[int, int]:
        number, samples = super().position(meta)
        return (meta['epoch'], 0) if meta['epoch'] > number else (number, samples)

    def usual_position(self, meta: dict) -> tuple[int, int]:
        done = meta['iter'] - meta['epoch'] * len(self.dataloader)
        return meta['epoch'], max(0, done) * self.global_batch

    def _first_batch(self) -> int:
        """Index of the first batch after the consumed samples."""
        left = max(0, len(self.sampler) - self._entered[2])
        size = self.dataloader.batch_size
        batches = left // size if self.dataloader.drop_last else -(-left // size)
        return len(self.dataloader) - batches

    def _train(self) -> nn.Module:
        self.runner.call_hook('before_train')
        if self._resumed and self._epoch > 0 and self._entered[2] == 0 \
                and self.validated != self._iter:
            for hook in self.runner.hooks:
                if isinstance(hook, SyncBuffersHook):  # it was, at the end of the epoch
                    hook.called_in_train = True
            self.runner.message_hub.update_info('epoch', self._epoch - 1)
            self._decide_current_val_interval()
            self._validate_again()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """One epoch, or what is left of it: none of its batches, if only its end is missing."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        # after DistSamplerSeedHook
        self._begin_pass(self._epoch, self._entered[2] if self._resumed else 0)
        self._resumed = False
        with iterating(self.dataloader) as batches:
            for idx, data_batch in enumerate(batches, self._first_batch()):
                self.run_iter(idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _validation_is_due(self) -> bool:
        return self._epoch >= self.val_begin and (
            self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs)


class ResumableIterLoop(ResumableLoop, IterBasedTrainLoop):
    """``IterBasedTrainLoop`` that can go on anywhere, and run a missed validation."""

    def usual_position(self, meta: dict) -> tuple[int, int]:
        if isinstance(self.sampler.sampler, InfiniteSampler):
            return 0, meta['iter'] * self.global_batch
        number, done = divmod(meta['iter'], len(self.dataloader))
        return number, done * self.global_batch

    def _train(self) -> nn.Module:
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._resumed and self._iter > 0 and self.validated != self._iter:
            self._decide_current_val_interval()
            self._validate_again()
        with closing(self._batches()) as batches:
            while self._iter < self._max_iters and not self.stop_training:
                self.runner.model.train()
                self.run_iter(next(batches))
                self._decide_current_val_interval()
                self._validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _batches(self) -> Generator[Any, None, None]:
        """The batches of one pass after the other."""
        number, _, consumed = self._entered
        while True:
            self._begin_pass(number, consumed)
            with iterating(self.dataloader) as batches:
                yield from batches
            if consumed == 0 and self._iter == self._entered[1]:
                raise ValueError('train_dataloader gives no batch; add images, or make its '
                                 'batch_size smaller or drop_last=False')
            number, consumed = number + 1, 0

    def _validation_is_due(self) -> bool:
        return self._iter >= self.val_begin and (
            self._iter % self.val_interval == 0 or self._iter == self._max_iters)


def make_resumable(loop: Any) -> str | None:
    """Makes a resumable loop of a stock one, in place; one that is already stays as it is.

    Args:
        loop: a built training loop. Its data loader gets a ``PositionedSampler`` and a
            ``SeededDataset`` around its own.

    Returns:
        What stands in the way, where something does; then the loop is left alone.
    """
    kinds = {EpochBasedTrainLoop: ResumableEpochLoop, IterBasedTrainLoop: ResumableIterLoop}
    loader = loop.dataloader
    if isinstance(loop, ResumableLoop):
        return None
    if type(loop) not in kinds:
        return f'the training loop {type(loop).__name__}'
    if isinstance(loader.dataset, IterableDataset):
        return f'iterable data ({type(loader.dataset).__name__})'
    if type(loader.batch_sampler) is not BatchSampler:
        return f'the batch sampler {type(loader.batch_sampler).__name__}'
    loop.dataloader = rebuild_loader(
        loader, dataset=SeededDataset(loader.dataset), batch_sampler=None,
        sampler=PositionedSampler(loader.batch_sampler.sampler),
        batch_size=loader.batch_sampler.batch_size, drop_last=loader.batch_sampler.drop_last)
    loop.__class__ = kinds[type(loop)]
    if isinstance(loop, ResumableIterLoop):
        # its workers, which the original mmengine has started, end with it
        del loop.dataloader_iterator
    return None
