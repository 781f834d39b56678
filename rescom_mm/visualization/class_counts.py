"""The picture of a long tail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..evaluation.metrics import shot_groups
from .results import COLOURS, plain, save

_MOST_NAMES = 60
_FLOOR = 0.7  # of the logarithmic axis: one image is to be seen


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

    order = np.argsort(-np.array(counts), kind='stable')
    sizes = np.array(counts)[order]
    figure = Figure(figsize=(10, 4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for group, places in shot_groups(sizes.tolist(), thresholds).items():
        if len(places):  # side by side; one shape, as thousands of bars would take long
            axes.stairs(sizes[places], np.append(places, places[-1] + 1) - 0.5, fill=True,
                        baseline=_FLOOR, color=COLOURS[group], label=f'{group}: {len(places)} '
                        f'class{"es" * (len(places) > 1)}, {sizes[places].sum()} images')
    axes.set(yscale='log', ylim=(_FLOOR, None), ylabel='images',
             xlabel='classes, from the largest to the smallest')
    axes.yaxis.set_major_formatter('{x:g}')
    if len(names) <= _MOST_NAMES:
        axes.set_xticks(range(len(names)), [plain(names[c][:20]) for c in order], rotation=60,
                        ha='right', fontsize=7)
    axes.legend(fontsize=8)
    axes.grid(axis='y', color='0.92')
    axes.set_axisbelow(True)
    save(figure, file)
