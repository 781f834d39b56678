from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import mmengine
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS

from ...evaluation import ShotAccuracy
from ...utils import check_options, same_on_all_ranks
from ...utils.environment import describe_dataset, describe_run, git_commit
from ...utils.experiment import same_list
from ...visualization.results import FIGURE_KEYS, draw_results, results_table

_HISTORY = 'rescom_results/history'
_ELAPSED = 'rescom_results/elapsed'


@HOOKS.register_module()
@check_options
class ResultsHook(Hook):
    """Shows what came out: at the end of training a table, ``results.json`` and ``results.png``.

    Figures are those of the last epoch, on the test list: where the config's ``test_dataloader``
    delivers other images than its ``val_dataloader``, or there is no validation, the test loop
    runs once after training; where both deliver the same, the last validation is the result.
    ``results.json`` has the figures under ``final``, with ``list`` (``'test'``, or ``'val'`` for a
    config without a test list that can be read), and those of the last validation under ``last``.
    The best figure on the validation list stands beside them, labelled so: it is no result, since
    it was chosen on that list.

    Args:
        num_points: points of each loss curve that are kept.
    """

    # after the hooks that log, and before the one that saves what is noted here
    priority = 'LOW'

    def __init__(self, num_points: int = 500) -> None:
        if num_points < 1:
            raise ValueError(f'ResultsHook: num_points must be at least 1, got {num_points}')
        self.num_points = num_points
        self._started = 0.0
        self._commit: str | None = None
        self._one_list = False
        self._tests = False
        self._validated_at: int | None = None

    def before_train(self, runner: Runner) -> None:
        self._commit = git_commit()  # now: by the end another one may be checked out
        # a resumed run goes on from the time that the checkpoint had taken
        self._started = time.time() - runner.message_hub.runtime_info.get(_ELAPSED, 0.0)
        self._validated_at = None
        self._one_list = runner.val_loop is not None and same_list(runner.cfg)
        self._tests = (runner._test_loop is not None and not self._one_list
                       and self._can_test(runner))

    @staticmethod
    def _can_test(runner: Runner) -> bool:
        """Builds the test loop now, so that a missing list is said before the training."""
        missing = None
        try:
            dataset = runner.test_loop.dataloader.dataset
        except FileNotFoundError as error:
            missing = error
        if not same_on_all_ranks(bytes([missing is None])):
            raise RuntimeError('test_dataloader.dataset can be read on some ranks only; give '
                               'every rank the same files') from missing
        if missing is None:
            runner.logger.info('The results will be those of the test list '
                               f'({describe_dataset(dataset)}), after the last epoch.')
        else:
            left = 'no results' if runner.val_loop is None else 'only results of the val list'
            runner.logger.warning(f'There will be {left}: the test list cannot be read: {missing} '
                                  '(set test_dataloader.dataset to where it is)')
        return missing is None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        runner.message_hub.update_info(_ELAPSED, time.time() - self._started)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        if not isinstance(runner._train_loop, BaseLoop):
            return  # runner.val() alone
        hub = runner.message_hub
        history = [entry for entry in hub.runtime_info.get(_HISTORY, [])
                   if entry['iter'] != runner.iter]
        history.append(dict(epoch=_epochs(runner), iter=runner.iter, **_numbers(metrics)))
        hub.update_info(_HISTORY, history)  # in every checkpoint, so a resume goes on with it
        self._validated_at = runner.iter

    def after_train(self, runner: Runner) -> None:
        if runner.val_loop is not None and self._validated_at != runner.iter:
            # a resumed run may have saved its last epoch, but not evaluated it
            runner.val_loop.run()
        tested = None
        if self._tests:
            self._write(runner, None)  # kept if the test list turns out to be broken
            # the loop alone: runner.test() would load a checkpoint again
            tested = runner.test_loop.run()
        self._show(runner, self._write(runner, tested))

    @master_only
    def _write(self, runner: Runner, tested: dict | None) -> dict[str, Any]:
        results = self._collect(runner, tested)
        mmengine.dump(results, Path(runner.work_dir) / 'results.json', indent=1)
        return results

    @master_only
    def _show(self, runner: Runner, results: dict[str, Any]) -> None:
        folder = Path(runner.work_dir)
        draw_results(results, folder / 'results.png')
        runner.logger.info(f'\n{results_table(results)}\n\n'
                           f'figures: {folder / "results.json"}\n'
                           f'picture: {folder / "results.png"}')

    def _collect(self, runner: Runner, tested: dict | None) -> dict[str, Any]:
        hub = runner.message_hub
        history = hub.runtime_info.get(_HISTORY, [])
        meta = getattr(runner.train_dataloader.dataset, 'metainfo', None) or {}
        names = meta.get('classes')
        loop = runner.test_loop if self._tests else runner.val_loop
        figures = tested if self._tests else history[-1] if history else None
        shot = next((metric for metric in getattr(getattr(loop, 'evaluator', None), 'metrics', [])
                     if isinstance(metric, ShotAccuracy)), None)
        results = describe_run(runner)
        results.update(
            commit=self._commit,
            wall_time_s=round(time.time() - self._started, 1),
            epochs=_epochs(runner),
            iterations=runner.iter,
            final=None if figures is None else dict(
                list='test' if self._tests or self._one_list else 'val',
                dataset=describe_dataset(loop.dataloader.dataset),
                figures={name: value for name, value in _numbers(figures).items()
                         if name not in ('epoch', 'iter')}),
            last=history[-1] if history else None,
            best_on_evaluation_set=_best(history),
            one_list=self._one_list,
            classes=list(names) if names else None,
            class_counts=meta.get('class_counts'),
            thresholds=list(shot.thresholds) if shot else None,
            per_class_accuracy=shot.per_class_accuracy if shot and figures else None,
            history=history,
            curves={name[len('train/'):]: _thin(buffer.data[0], self.num_points)
                    for name, buffer in hub.log_scalars.items()
                    if name.startswith('train/') and 'loss' in name})
        return results


def _numbers(metrics: dict | None) -> dict[str, float]:
    return {name: float(value) for name, value in (metrics or {}).items()
            if isinstance(value, (int, float))}


def _epochs(runner: Runner) -> float:
    """Epochs done; under an iteration-based loop as passes of the sampler."""
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return runner.epoch
    return round(runner.iter / len(runner.train_dataloader), 3)


def _best(history: list[dict]) -> dict[str, Any] | None:
    """The evaluation with the highest accuracy, by shot/all or accuracy/top1."""
    for key in FIGURE_KEYS:
        if history and key in history[0]:
            best = max(history, key=lambda entry: entry[key])
            return dict(key=key, value=best[key], epoch=best['epoch'])
    return None


def _thin(values: Any, points: int) -> list[list[float]]:
    """At most ``points`` pairs of (iteration, mean over a stretch of iterations)."""
    n = len(values)
    width = max(1, -(-n // points))
    return [[min(start + width, n), float(values[start:start + width].mean())]
            for start in range(0, n, width)]
