"""The picture of a benchmark's runs on the results page: accuracy and losses over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .results import FIGURE_KEYS

# Okabe and Ito's colours, which the colour-blind tell apart, without the pale yellow
_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000')
_MARKERS = 'osD^vP'  # of each round of colours another


def draw_benchmark(title: str, runs: dict[str, Sequence[dict[str, Any]]], file: Path) -> None:
    """Writes a PNG of measured runs.

    Args:
        title: the benchmark's name.
        runs: the runs of each experiment, which differ in the seed, by label. ``history`` and
            ``curves`` as in ``results.json``; accuracies in %, losses in nats. Lines are means
            over the seeds, bands reach from the lowest to the highest.
        file: of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.2 + 0.22 * len(runs)), layout='constrained')
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for number, (label, of_label) in enumerate(runs.items()):
        look = dict(color=_COLOURS[number % len(_COLOURS)], linewidth=1.6,
                    marker=_MARKERS[number // len(_COLOURS) % len(_MARKERS)], markersize=3.5)
        _draw(left, [_accuracy(run, FIGURE_KEYS) for run in of_label], look, '-',
              f'{label} ({len(of_label)} seed{"s" * (len(of_label) > 1)})')
        _draw(left, [_accuracy(run, ['shot/few']) for run in of_label], look, '--')
        look['marker'] = None
        _draw(right, [_loss(run, ['loss_cls', 'loss']) for run in of_label], look, '-')
        _draw(right, [_loss(run, ['loss_con']) for run in of_label], look, '--')
    left.set(title='Accuracy on the val list: all classes (solid), few-shot (dashed)',
             xlabel='epoch', ylabel='top-1 accuracy (%)')
    right.set(title='Loss: classification (solid), contrastive (dashed; a definition a method)',
              xlabel='epoch', ylabel='loss (nats)')
    left.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlim(left=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.title.set_fontsize(11)
        axes.grid(color='0.92')
        axes.set_axisbelow(True)
    figure.suptitle(title, fontsize=13)
    figure.legend(*left.get_legend_handles_labels(), loc='outside lower center', fontsize=10,
                  ncols=1 if len(runs) < 3 else 2, title='measurement: config')
    figure.savefig(str(file), dpi=100)


def _accuracy(run: dict[str, Any], keys: Sequence[str]) -> dict[float, float]:
    """The first of the figures that the run has, by epoch."""
    return next((points for points in (
        {entry['epoch']: entry[key] for entry in run['history'] if key in entry}
        for key in keys) if points), {})


def _loss(run: dict[str, Any], names: Sequence[str]) -> dict[float, float]:
    """The first of the loss terms that the run has, by epoch."""
    per_epoch = run['iterations'] / (run['epochs'] or 1)
    points: list[list[float]] = next(
        (run['curves'][name] for name in names if run['curves'].get(name)), [])
    return {iteration / per_epoch: value for iteration, value in points}


def _draw(axes: Any, curves: list[dict[float, float]], look: dict[str, Any], style: str,
          label: str | None = None) -> None:
    x = sorted(set.intersection(*(set(curve) for curve in curves)))
    if not x:
        return
    values = np.array([[curve[at] for at in x] for curve in curves])
    axes.plot(x, values.mean(0), style, label=label, **look)
    if len(curves) > 1:
        axes.fill_between(x, values.min(0), values.max(0), color=look['color'], alpha=0.15,
                          linewidth=0)
