from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS

from ...datasets import UndecodableImage
from ...datasets.replacing_dataset import DAMAGED_KEY, CollateReplaced, ReplacingDataset
from ...utils import check_options
from ...utils.loader import rebuild_loader, set_loader

_REPORT = 'rescom_bad_images/report'
REPORT_FILE = 'undecodable_images.txt'


@HOOKS.register_module()
@check_options
class BadImageHook(Hook):
    """Lets training go on where image files can't be decoded, and says which.

    In training another image of the same class takes the place of a damaged one, so that class
    frequencies stay as they are; it is drawn as the sample's augmentations are. Each file is named
    once in the log, with the reason; with each checkpoint and at the end all are listed in
    ``undecodable_images.txt`` in the work directory. The report is part of every checkpoint, and
    counts only what was trained on, not what was loaded ahead. In validation and test nothing is
    replaced: the error names the file. Data whose labels cannot be read (several an image, say)
    are left alone, with a warning.

    Args:
        on_error: ``'replace'``, or ``'raise'`` to end the run at the first damaged file.
        limit: the run ends when a larger share of the distinct training images than this, 0 ... 1,
            turned out damaged.

    Raises:
        UndecodableImage: a ``ValueError``, as above or when a class has no readable image.
    """

    # after ClassCountsHook, of the same priority and before it in default_runtime.py
    priority = 'HIGH'

    def __init__(self, on_error: str = 'replace', limit: float = 0.01) -> None:
        if on_error not in ('replace', 'raise'):
            raise ValueError("BadImageHook: on_error must be 'replace' or 'raise', got "
                             f'{on_error!r}')
        if not 0 <= limit <= 1:
            raise ValueError('BadImageHook: limit is a share of the training images, 0 ... 1, got '
                             f'{limit}')
        self.on_error = on_error
        self.limit = limit
        self._dataset: ReplacingDataset | None = None
        # path -> [count, reason]: of all ranks as far as they have merged them, and what this
        # rank has met since
        self._report: dict[str, list] = {}
        self._unmerged: list[tuple[str, str]] = []

    def before_run(self, runner: Runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop) or self._dataset is not None:
            return  # a test or validation alone, or a second call
        loader = runner.train_dataloader
        try:
            self._dataset = ReplacingDataset(loader.dataset, self.on_error, self.limit)
        except ValueError as error:
            runner.logger.warning('an image that cannot be decoded will end the run, since '
                                  f'BadImageHook cannot tell the classes of images: {error}')
            return
        set_loader(runner.train_loop, rebuild_loader(
            loader, dataset=self._dataset, collate_fn=CollateReplaced(loader.collate_fn)))

    def before_train(self, runner: Runner) -> None:
        # a resumed run goes on with the checkpoint's
        self._report = runner.message_hub.runtime_info.get(_REPORT, {})
        runner.message_hub.update_info(_REPORT, self._report)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        damaged = data_batch.pop(DAMAGED_KEY, None) if isinstance(data_batch, dict) else None
        if damaged:
            self._add(runner, damaged)
            if get_world_size() > 1:
                self._unmerged += damaged
            self._check(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        if self._dataset is not None:
            self.gather_state(runner)
            self._check(runner)

    def gather_state(self, runner: Runner) -> None:
        """Merges the reports of all ranks; to be called on all of them, before a checkpoint."""
        if get_world_size() > 1:
            for rank, damaged in enumerate(all_gather_object(self._unmerged)):
                if rank != get_rank():
                    self._add(runner, damaged)
            self._unmerged = []
        if self._report and get_rank() == 0:
            self._write(runner)

    def after_train(self, runner: Runner) -> None:
        if self._report and get_rank() == 0:
            file = self._write(runner)
            runner.logger.warning(
                f'{len(self._report)} training images could not be decoded; they were drawn '
                f'{sum(count for count, _ in self._report.values())} times, and others of their '
                f'classes taken instead: {file}')

    def _add(self, runner: Runner, damaged: list[tuple[str, str]]) -> None:
        for path, reason in damaged:
            if path not in self._report:
                runner.logger.warning(f'{path!r} cannot be decoded ({reason}); another image of '
                                      'its class takes its place')
            self._report.setdefault(path, [0, reason])[0] += 1

    def _check(self, runner: Runner) -> None:
        assert self._dataset is not None
        try:
            self._dataset.check({path: reason for path, (_, reason) in self._report.items()})
        except UndecodableImage as error:
            raise UndecodableImage(f'{error}; all are listed in {self._write(runner)}') from None

    def _write(self, runner: Runner) -> Path:
        """Writes ``path``, ``count`` and ``reason`` a line, between tabs."""
        file = Path(runner.work_dir) / REPORT_FILE
        file.write_text(''.join(f'{path}\t{count}\t{reason}\n'
                                for path, (count, reason) in sorted(self._report.items())),
                        encoding='utf-8', errors='surrogateescape')
        return file
