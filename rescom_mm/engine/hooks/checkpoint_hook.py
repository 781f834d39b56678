from __future__ import annotations

import hashlib
import os.path as osp
import pickle
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process, master_only
from mmengine.fileio import register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, FlexibleRunner, Runner, save_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from mmpretrain.registry import HOOKS

from ...utils import check_options
from ...utils.atomic_backend import (
    ATOMIC,
    AtomicLocalBackend,
    DiskFullError,
    remove_partial_files,
)
from ...utils.safe_load import UnsafeCheckpointError
from ...utils.whole_checkpoint import START_FROM, newest_resumable, why_not_resumable

_STOP_FILE = 'stop_iter_{}.pth'


@HOOKS.register_module()
@check_options
class WholeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, whose checkpoints are whole or not there.

    Local files are written beside, flushed and renamed, the previous checkpoint is removed only
    afterwards (so there must be room for one more than ``max_keep_ckpts``). Where the disk is full
    the error says what is missing and which checkpoint is whole.

    ``--resume`` without a path goes on from the newest whole checkpoint of the folder that this
    hook writes to, whatever ``last_checkpoint`` says; torn, damaged and foreign files are skipped
    with a warning each, and without any checkpoint training starts from the beginning. A path to a
    file that is not whole is an error. The first process chooses for all. (mmengine's
    ``FlexibleRunner`` resumes before hooks are asked, from what ``last_checkpoint`` names.)

    Before each checkpoint it calls ``gather_state(runner)``, on all ranks, of every hook that has
    this method: what differs between the ranks is collected there.

    Args:
        kwargs: options of ``CheckpointHook``. Given ``backend_args``, or an ``out_dir`` that is
            not local, leave the writing to that backend.
    """

    backend_args: dict | None
    file_backend: Any
    keep_ckpt_ids: deque[int]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._local = not (self.backend_args or self.file_client_args
                           or '://' in str(self.out_dir or ''))
        if self._local:
            self.backend_args = dict(backend=ATOMIC)
        self._newest: str | None = None
        self._position: tuple[int, int] | None = None

    def before_run(self, runner: Runner) -> None:
        if (not runner._resume or runner._has_loaded or not self._local
                or not isinstance(runner._train_loop, BaseLoop)):
            return
        chosen = [self._choose(runner) if is_main_process() else None]
        broadcast_object_list(chosen)
        assert chosen[0] is not None
        path, error = chosen[0]
        if error is not None:
            raise ValueError(error)
        self._newest = path
        if path is None:
            runner._resume = False
            path = runner.cfg.get(START_FROM)
        runner._load_from = path

    def _choose(self, runner: Runner) -> tuple[str | None, str | None]:
        """The checkpoint to go on from, or an error."""
        folder, given = self._folder(runner), runner._load_from
        if given is not None and ('://' in str(given) or Path(given).is_dir()):
            return given, None

        def newest(warn: Callable[[str], None]) -> str | None:
            return newest_resumable(folder, self.save_optimizer, warn, self.filename_tmpl)

        try:
            if given is None:
                found = newest(runner.logger.warning)
                if found is None:
                    start = runner.cfg.get(START_FROM) or 'the beginning'
                    runner.logger.warning(f'nothing to resume: {folder} has no whole checkpoint, '
                                          f'training starts from {start}')
                return found, None
            reason = why_not_resumable(given, self.save_optimizer)
            if reason is None:
                return given, None
            found = newest(lambda message: None)
        except UnsafeCheckpointError as error:  # not of a file that may be torn: no way round it
            return None, f'--resume: {error}'
        return None, (f'--resume: {given} {reason}; ' + (
            f'the newest whole checkpoint is {found}: give that, or --resume alone'
            if found else f'{folder} has no whole checkpoint'))

    def _folder(self, runner: Runner) -> str:
        """Where ``before_train`` of mmengine's hook lets checkpoints go."""
        if self.out_dir in (None, runner.work_dir):
            return runner.work_dir
        return osp.join(self.out_dir, osp.basename(runner.work_dir.rstrip(osp.sep)))

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        if self.max_keep_ckpts > 0:
            # it grows by one while a checkpoint is written
            self.keep_ckpt_ids = deque(self.keep_ckpt_ids)
        last = runner.message_hub.runtime_info.get('last_ckpt')
        if runner._resume and last:  # as in a run that was not interrupted
            self.last_ckpt = self.file_backend.join_path(self.out_dir, osp.basename(last))
        if self._local and isinstance(runner, FlexibleRunner):
            # its strategies write to mmengine's default backend
            register_backend('local', AtomicLocalBackend, force=True, prefixes='')
        if self._local and is_main_process():
            remove_partial_files(self.out_dir)
            remove_partial_files(runner.work_dir)

    def save_now(self, runner: Runner, epoch: int, iteration: int) -> str:
        """Writes a checkpoint outside the schedule, on all ranks, and returns its path.

        It is named ``stop_iter_N.pth`` and goes when the next regular one is whole. Where a
        checkpoint of this very moment has been written already, it is that one.

        Args:
            runner: the runner.
            epoch: epochs that are done.
            iteration: iterations that are done.
        """
        if self._position != (epoch, iteration):
            self._save(runner, _STOP_FILE.format(iteration), dict(epoch=epoch, iter=iteration),
                       by_epoch=False)
        return str(self._newest)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        limited = self.max_keep_ckpts > 0
        if limited and (not self.keep_ckpt_ids or self.keep_ckpt_ids[-1] != step):
            # one too many: if the process dies right after writing, the resumed run removes it
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        self._save(runner, name, meta, self.by_epoch)
        while limited and len(self.keep_ckpt_ids) > self.max_keep_ckpts:
            self._remove(self.filename_tmpl.format(self.keep_ckpt_ids.popleft()))
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        if self._local and is_main_process():
            for path in Path(self.out_dir).glob(_STOP_FILE.format('*')):
                path.unlink(missing_ok=True)

    def _save(self, runner: Runner, name: str, meta: dict, by_epoch: bool) -> None:
        for hook in runner.hooks:
            if hasattr(hook, 'gather_state'):
                hook.gather_state(runner)
        position = meta['epoch'], meta['iter']
        with self._naming_the_newest():
            runner.save_checkpoint(
                self.out_dir, name, self.file_client_args, save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=by_epoch,
                backend_args=self.backend_args, **self.args)
        self._newest = str(self.file_backend.join_path(self.out_dir, name))
        first, self._position = self._position is None, position
        if first and self._local and is_main_process():
            self._read_back(runner, self._newest)
        if is_main_process():
            AtomicLocalBackend().put_text(self._newest,
                                          osp.join(runner.work_dir, 'last_checkpoint'))

    def _read_back(self, runner: Runner, path: str) -> None:
        """Says so at once if a run writes what it could not resume from."""
        if not Path(path).is_file():
            return  # a folder of deepspeed
        try:
            reason = why_not_resumable(path, self.save_optimizer)
        except UnsafeCheckpointError as error:
            reason = f'cannot be resumed from: {error}'
        if reason is not None:
            runner.logger.error(f'{path}, which was just written, {reason}')

    @master_only
    def _remove(self, name: str) -> None:
        path = self.file_backend.join_path(self.out_dir, name)
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # of deepspeed
            self.file_backend.rmtree(path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        backend = self.file_backend
        self.file_backend = later = _RemovesLater(backend)
        try:
            with self._naming_the_newest():
                super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        best = {getattr(self, 'best_ckpt_path', None),
                *getattr(self, 'best_ckpt_path_dict', {}).values()}
        later.remove_all(but=best)

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        checkpoint = CheckpointLoader.load_checkpoint(ckpt_path, 'cpu', logger='silent')
        published = {key: value for key, value in checkpoint.items()
                     if key in (self.published_keys or [])}
        digest = hashlib.sha256(pickle.dumps(published)).hexdigest()
        final_path = f'{osp.splitext(ckpt_path)[0]}-{digest[:8]}.pth'
        with self._naming_the_newest():
            save_checkpoint(published, final_path, backend_args=self.backend_args)
        runner.logger.info(f'{ckpt_path} is published as {final_path}')

    @contextmanager
    def _naming_the_newest(self) -> Iterator[None]:
        try:
            yield
        except DiskFullError as error:
            left = (f'the previous checkpoint {self._newest} is whole' if self._newest
                    else 'there is no checkpoint yet')
            raise OSError(error.errno, f'{error.strerror}; {left}; free space, or let '
                          'default_hooks.checkpoint.out_dir name another disk, and go on with '
                          '--resume') from None


class _RemovesLater:
    """A file backend that puts off what is to be removed."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._later: list[tuple[Any, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self._later.append((self._backend.remove, path))

    def rmtree(self, path: str) -> None:
        self._later.append((self._backend.rmtree, path))

    def remove_all(self, but: set) -> None:
        for remove, path in self._later:
            if path not in but:
                remove(path)
