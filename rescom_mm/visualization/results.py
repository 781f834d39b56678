"""The table and the picture of a training run, from what ``results.json`` holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.metrics import SHOTS, shot_groups

_COLOURS = dict(many='#3b6fb6', medium='#e0902f', few='#c0392b')
_MOST_ROWS = 30  # classes listed one by one


def results_table(results: dict[str, Any]) -> str:
    """A text table of the last epoch's figures by shot group and, for few classes, by class."""
    last, best = results['last'], results['best_on_evaluation_set']
    if last is None:
        return 'trained without validation: no accuracy to show'
    images = (results['class_counts'] or {}).get('images')
    groups = shot_groups(images, results['thresholds']) if images and results['thresholds'] else {}
    rows = [('', 'classes', 'train images', 'accuracy %')]
    if 'shot/all' in last:
        rows.append(('all', str(len(images) if images else '-'),
                     str(sum(images) if images else '-'), f'{last["shot/all"]:.2f}'))
    for name in SHOTS if groups else ():
        value = last.get(f'shot/{name}')
        low, high = results['thresholds']
        meaning = dict(many=f'many (> {high})', medium=f'medium ({low} to {high})',
                       few=f'few (< {low})')[name]
        rows.append((meaning, str(len(groups[name])),
                     str(sum(images[c] for c in groups[name])),  # type: ignore[index]
                     '-' if value is None else f'{value:.2f}'))
    accuracy = results['per_class_accuracy'] or []
    if images and 0 < len(accuracy) <= _MOST_ROWS:
        names = results['classes'] or [str(c) for c in range(len(accuracy))]
        rows += [(f'  class {names[c]}', '', str(images[c]), '-' if a is None else f'{a:.2f}')
                 for c, a in enumerate(accuracy)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [f'Last epoch ({last["epoch"]:g}), seed {results["seed"]}, '
             f'{results["wall_time_s"]:.0f} s']
    lines += ['  '.join([row[0].ljust(widths[0]),
                         *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
              for row in rows]
    lines += [f'{name}: {value:.2f} %' if name.startswith('calibration/') else
              f'{name}: {value:.4g}' for name, value in last.items()
              if name not in ('epoch', 'iter') and not name.startswith('shot/')]
    if best is not None:
        lines.append(f'(for comparison only, chosen on the evaluation set: best {best["key"]} '
                     f'{best["value"]:.2f} at epoch {best["epoch"]:g})')
    return '\n'.join(lines)


def draw_results(results: dict[str, Any], file: str | Path) -> None:
    """Writes a PNG: accuracy by class over training counts, and the curves of the run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.6), layout='constrained')
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw_classes(left, results)
    _draw_curves(right, results)
    figure.suptitle(f'{results["experiment"]}, seed {results["seed"]}', fontsize=10)
    figure.savefig(str(file), dpi=110)


def _draw_classes(axes: Any, results: dict[str, Any]) -> None:
    images = (results['class_counts'] or {}).get('images')
    accuracy = results['per_class_accuracy']
    axes.set(title='Accuracy by class, last epoch', xlabel='training images of the class',
             ylabel='accuracy (%)', ylim=(-3, 109), yticks=range(0, 101, 20))
    axes.set_axisbelow(True)
    if not images or not accuracy or not results['thresholds']:
        axes.text(0.5, 0.5, 'no per-class accuracy:\nval_evaluator needs ShotAccuracy',
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
                     s=18 if len(images) > 200 else 42, alpha=0.75, color=_COLOURS[name],
                     label=f'{name}: {len(members)} class{"es" * (len(members) > 1)}, '
                           f'mean {mean:.1f} %')
    if len(images) <= 20:
        names = results['classes'] or [str(c) for c in range(len(images))]
        for c, value in enumerate(accuracy):
            if value is not None:
                axes.annotate(str(names[c])[:16], (images[c], value), xytext=(5, 5),
                              textcoords='offset points', fontsize=8)
    for threshold in results['thresholds']:
        axes.axvline(threshold, color='0.8', linewidth=1, zorder=0)
        axes.annotate(f' {threshold:g}', (threshold, 0), xycoords=('data', 'axes fraction'),
                      xytext=(0, 3), textcoords='offset points', fontsize=8, color='0.5')
    axes.legend(loc='lower right', fontsize=8)
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
    key = next((k for k in ('shot/all', 'accuracy/top1') if history and k in history[0]), None)
    if key:
        twin = axes.twinx()
        twin.plot([entry['epoch'] for entry in history], [entry[key] for entry in history],
                  color='0.35', linestyle='--', linewidth=1.2,
                  marker='.' if len(history) < 30 else None)
        twin.set(ylabel=f'{key} on the evaluation set (%), dashed', ylim=(0, 103))
    if handles:
        axes.legend(handles, labels, loc='center right', fontsize=8)
    axes.grid(color='0.94')
