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
from ...utils import check_options
from ...utils.environment import describe_run
from ...visualization.results import draw_results, results_table

_HISTORY = 'rescom_results/history'
_ELAPSED = 'rescom_results/elapsed'


@HOOKS.register_module()
@check_options
class ResultsHook(Hook):
    """Shows what came out: at the end of training a table, ``results.json`` and ``results.png``.

    Figures are those of the last epoch. The best figure on the evaluation set stands beside them,
    labelled so: it is no result, since it was chosen on that set.

    Args:
        num_points: points of each loss curve that are kept.
    """

    # after the hooks that log and save
    priority = 'LOWEST'

    def __init__(self, num_points: int = 500) -> None:
        if num_points < 1:
            raise ValueError(f'ResultsHook: num_points must be at least 1, got {num_points}')
        self.num_points = num_points
        self._started = 0.0

    def before_train(self, runner: Runner) -> None:
        # a resumed run goes on from the time that the checkpoint had taken
        self._started = time.time() - runner.message_hub.runtime_info.get(_ELAPSED, 0.0)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        runner.message_hub.update_info(_ELAPSED, time.time() - self._started)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        if not isinstance(runner._train_loop, BaseLoop):
            return  # runner.val() alone
        hub = runner.message_hub
        history = list(hub.runtime_info.get(_HISTORY, []))
        figures = {name: float(value) for name, value in (metrics or {}).items()
                   if isinstance(value, (int, float))}
        history.append(dict(epoch=_epochs(runner), iter=runner.iter, **figures))
        hub.update_info(_HISTORY, history)  # in every checkpoint, so a resume goes on with it

    def after_train(self, runner: Runner) -> None:
        history = runner.message_hub.runtime_info.get(_HISTORY, [])
        if isinstance(runner.val_loop, BaseLoop) and (
                not history or history[-1]['iter'] != runner.iter):
            # a resumed run may have saved its last epoch, but not evaluated it
            runner.val_loop.run()
        self._write(runner)

    @master_only
    def _write(self, runner: Runner) -> None:
        results = self._collect(runner)
        folder = Path(runner.work_dir)
        mmengine.dump(results, folder / 'results.json', indent=1)
        draw_results(results, folder / 'results.png')
        runner.logger.info(f'\n{results_table(results)}\n\n'
                           f'figures: {folder / "results.json"}\n'
                           f'picture: {folder / "results.png"}')

    def _collect(self, runner: Runner) -> dict[str, Any]:
        hub = runner.message_hub
        history = hub.runtime_info.get(_HISTORY, [])
        meta = getattr(runner.train_dataloader.dataset, 'metainfo', None) or {}
        names = meta.get('classes')
        shot = next((metric for metric in getattr(
            getattr(runner.val_loop, 'evaluator', None), 'metrics', [])
            if isinstance(metric, ShotAccuracy)), None)
        results = describe_run(runner)
        results.update(
            wall_time_s=round(time.time() - self._started, 1),
            epochs=_epochs(runner),
            iterations=runner.iter,
            last=history[-1] if history else None,
            best_on_evaluation_set=_best(history),
            classes=list(names) if names else None,
            class_counts=meta.get('class_counts'),
            thresholds=list(shot.thresholds) if shot else None,
            per_class_accuracy=shot.per_class_accuracy if shot else None,
            history=history,
            curves={name[len('train/'):]: _thin(buffer.data[0], self.num_points)
                    for name, buffer in hub.log_scalars.items()
                    if name.startswith('train/') and 'loss' in name})
        return results


def _epochs(runner: Runner) -> float:
    """Epochs done; under an iteration-based loop as passes of the sampler."""
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return runner.epoch
    return round(runner.iter / len(runner.train_dataloader), 3)


def _best(history: list[dict]) -> dict[str, Any] | None:
    """The evaluation with the highest accuracy, by shot/all or accuracy/top1."""
    for key in ('shot/all', 'accuracy/top1'):
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
