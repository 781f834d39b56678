"""The picture of a long tail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..evaluation.metrics import shot_groups
from .results import COLOURS, plain, save

_MOST_NAMES = 60


def draw_class_counts(counts: Sequence[int], names: Sequence[str], thresholds: tuple[int, int],
                      file: str | Path) -> None:
    """Writes a PNG: images of each class from the largest to the smallest, by shot group.

    Args:
        counts: training images by class.
        names: of the classes; shown where there are few.
        thresholds: ``(low, high)`` of the shot groups.
        file: of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = np.array(counts)
    order = np.argsort(-sizes, kind='stable')
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    figure = Figure(figsize=(10, 4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for group, members in shot_groups(counts, thresholds).items():
        if len(members):
            axes.bar(place[members], sizes[members], width=1 if len(sizes) > 200 else 0.8,
                     color=COLOURS[group], label=f'{group}: {len(members)} '
                     f'class{"es" * (len(members) > 1)}, {sizes[members].sum()} images')
    axes.set(yscale='log', ylim=(0.7, None), ylabel='training images',
             xlabel='classes, from the largest to the smallest')
    axes.yaxis.set_major_formatter('{x:g}')
    if len(names) <= _MOST_NAMES:
        axes.set_xticks(range(len(names)), [plain(names[c][:20]) for c in order], rotation=60,
                        ha='right', fontsize=7)
    axes.legend(fontsize=8)
    axes.grid(axis='y', color='0.92')
    axes.set_axisbelow(True)
    save(figure, file)
