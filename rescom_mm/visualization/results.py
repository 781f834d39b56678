"""The table and the picture of a training run, from what ``results.json`` holds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.metrics import shot_groups

#: of the shot groups
COLOURS = dict(many='#3b6fb6', medium='#e0902f', few='#c0392b')
_MOST_ROWS = 30  # classes listed one by one
FIGURE_KEYS = ('shot/all', 'accuracy/top1')  # which figure stands for a run


def results_table(results: dict[str, Any]) -> str:
    """A text table of a run's final figures by shot group and, for few classes, by class."""
    final, last, best = (results[key] for key in ('final', 'last', 'best_on_evaluation_set'))
    if final is None:
        return 'trained without validation and test: no accuracy to show'
    lines = [f'Last epoch ({results["epochs"]:g}), {final["list"]} list ({final["dataset"]}), '
             f'seed {results["seed"]}, {results["wall_time_s"]:.0f} s',
             *figures_table(final['figures'], (results['class_counts'] or {}).get('images'),
                            results['thresholds'], results['per_class_accuracy'],
                            results['classes'])]
    if final['list'] == 'test' and not results['one_list'] and last is not None:
        lines += [f'(val list, last epoch: {name} {last[name]:.2f})' for name in FIGURE_KEYS
                  if name in last][:1]
    if best is not None:
        which = 'test list, which is the val list' if results['one_list'] else 'val list'
        lines.append(f'(for comparison only, chosen on the {which}: best {best["key"]} '
                     f'{best["value"]:.2f} at epoch {best["epoch"]:g})')
    return '\n'.join(lines)


def figures_table(figures: dict[str, float], images: Sequence[int] | None,
                  thresholds: Sequence[int] | None, accuracy: Sequence[float | None] | None,
                  names: Sequence[str] | None) -> list[str]:
    """Lines of a text table of an evaluation.

    Args:
        figures: metrics by name; accuracies and calibration errors in %.
        images: training images by class.
        thresholds: ``(low, high)`` of the shot groups.
        accuracy: accuracy by class in %, None for a class without a test image.
        names: of the classes; their numbers where None.
    """
    rows = [('', 'classes', 'train images', 'accuracy %')]
    if 'shot/all' in figures:
        rows.append(('all', str(len(images) if images else '-'),
                     str(sum(images) if images else '-'), f'{figures["shot/all"]:.2f}'))
    if images and thresholds:
        low, high = thresholds
        meaning = dict(many=f'many (> {high})', medium=f'medium ({low} to {high})',
                       few=f'few (< {low})')
        for name, members in shot_groups(images, (low, high)).items():
            value = figures.get(f'shot/{name}')
            rows.append((meaning[name], str(len(members)), str(sum(images[c] for c in members)),
                         '-' if value is None else f'{value:.2f}'))
    accuracy = accuracy or []
    if images and 0 < len(accuracy) <= _MOST_ROWS:
        names = names or [str(c) for c in range(len(accuracy))]
        rows += [(f'  class {names[c]}', '', str(images[c]), '-' if a is None else f'{a:.2f}')
                 for c, a in enumerate(accuracy)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ['  '.join([row[0].ljust(widths[0]),
                        *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
             for row in rows]
    return (lines if len(rows) > 1 else []) + [
        f'{name}: {value:.2f} %' if name.startswith('calibration/') else f'{name}: {value:.4g}'
        for name, value in figures.items() if not name.startswith('shot/')]


def plain(text: str) -> str:
    """A text in which matplotlib sees no formula."""
    return text.replace('$', r'\$')


def draw_results(results: dict[str, Any], file: str | Path) -> None:
    """Writes a PNG: accuracy by class over training counts, and the curves of the run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.6), layout='constrained')
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw_classes(left, results)
    _draw_curves(right, results)
    figure.suptitle(plain(f'{results["experiment"]}, seed {results["seed"]}'), fontsize=10)
    save(figure, file)


def save(figure: Any, file: str | Path) -> None:
    """Writes a figure as PNG; letters that the font lacks become boxes, without a warning each."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Glyph')
        figure.savefig(str(file), dpi=110)


def _draw_classes(axes: Any, results: dict[str, Any]) -> None:
    images = (results['class_counts'] or {}).get('images')
    accuracy = results['per_class_accuracy']
    which = f', {results["final"]["list"]} list' if results['final'] else ''
    axes.set(title=f'Accuracy by class, last epoch{which}', xlabel='training images of the class',
             ylabel='accuracy (%)', ylim=(-3, 109), yticks=range(0, 101, 20))
    axes.set_axisbelow(True)
    if not images or not accuracy or not results['thresholds']:
        axes.text(0.5, 0.5, 'no per-class accuracy:\nthe evaluator needs ShotAccuracy',
                  ha='center', va='center', transform=axes.transAxes)
        return
    axes.set_xscale('log')
    axes.xaxis.set_major_formatter('{x:g}')
    for name, group in shot_groups(images, results['thresholds']).items():
        members = [c for c in group if c < len(accuracy) and accuracy[c] is not None]
        if not members:
            continue
        mean = float(np.mean([accuracy[c] for c in members]))
        axes.scatter([images[c] for c in members], [accuracy[c] for c in members],
                     s=18 if len(images) > 200 else 42, alpha=0.75, color=COLOURS[name],
                     label=f'{name}: {len(members)} class{"es" * (len(members) > 1)}, '
                           f'mean {mean:.1f} %')
    if len(images) <= 20:
        names = results['classes'] or [str(c) for c in range(len(images))]
        for c, value in enumerate(accuracy):
            if value is not None:
                axes.annotate(plain(str(names[c])[:16]), (images[c], value), xytext=(5, 5),
                              textcoords='offset points', fontsize=8)
    for threshold in results['thresholds']:
        axes.axvline(threshold, color='0.8', linewidth=1, zorder=0)
        axes.annotate(f' {threshold:g}', (threshold, 0), xycoords=('data', 'axes fraction'),
                      xytext=(0, 3), textcoords='offset points', fontsize=8, color='0.5')
    # below: within the axes it would hide the points of the worst classes
    axes.legend(loc='upper center', bbox_to_anchor=(0.5, -0.13), ncols=3, fontsize=8,
                frameon=False, columnspacing=0.8, handletextpad=0.1)
    axes.grid(axis='y', color='0.92')


def _draw_curves(axes: Any, results: dict[str, Any]) -> None:
    per_epoch = results['iterations'] / (results['epochs'] or 1)
    axes.set(title='Training', xlabel='epoch', ylabel='loss')
    names = dict(loss='total', loss_cls='classification', loss_con='contrastive (weighted)')
    for name, points in results['curves'].items():
        if points:
            x, y = np.array(points).T
            axes.plot(x / per_epoch, y, linewidth=1.2, label=names.get(name, name))
    handles, labels = axes.get_legend_handles_labels()
    history = results['history']
    key = next((k for k in FIGURE_KEYS if history and k in history[0]), None)
    if key:
        twin = axes.twinx()
        twin.plot([entry['epoch'] for entry in history], [entry[key] for entry in history],
                  color='0.35', linestyle='--', linewidth=1.2,
                  marker='.' if len(history) < 30 else None)
        which = 'test' if results['one_list'] else 'val'
        twin.set(ylabel=f'{key} on the {which} list (%), dashed', ylim=(0, 103))
    if handles:
        axes.legend(handles, labels, loc='center right', fontsize=8)
    axes.grid(color='0.94')
