"""The pictures of docs/performance.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Okabe and Ito's colours, which the colour-blind tell apart
_COLOURS = dict(zip(('ours', 'floor', 'released', 'W'),
                    ('#0072B2', '#999999', '#D55E00', '#CC79A7')))
_LINES = dict(C=('#0072B2', 'o'), K=('#D55E00', 's'), B=('#009E73', '^'), W=('#CC79A7', 'D'))


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def _finish(axes: Any) -> None:
    axes.title.set_fontsize(11)
    axes.grid(color='0.92')
    axes.set_axisbelow(True)


def draw_branch(content: dict[str, Any], file: Path) -> None:
    """Writes a PNG: time of a step of the branch at each shape, ours, floor and released.

    Args:
        content: of ``branch.json``.
        file: of the picture.
    """
    figure = _figure((10, 4.6))
    axes = figure.subplots()
    rows = content['rows']
    for number, (name, label) in enumerate((
            ('floor', 'floor: product forward and backward, one top-k'), ('ours', 'this package'),
            ('released', 'structure of the released code'))):
        seconds = [row['seconds'][name] for row in rows]
        medians = [value['median'] * 1e3 for value in seconds]
        errors = [[(value['median'] - value['low']) * 1e3 for value in seconds],
                  [(value['high'] - value['median']) * 1e3 for value in seconds]]
        at = [i + 0.27 * (number - 1) for i in range(len(rows))]
        bars = axes.bar(at, medians, 0.25, yerr=errors, label=label, color=_COLOURS[name],
                        error_kw=dict(elinewidth=1, capsize=2))
        axes.bar_label(bars, fmt='%.1f', fontsize=9, padding=2)
    axes.set_xticks(range(len(rows)), [
        'C={classes}, K={keys}\n{rows} rows, d={dim}\nK+={positives}, K-={negatives}'.format(
            **row['shape']) for row in rows])
    axes.set(yscale='log', ylabel='ms a step (median, 95 % interval)',
             title='Contrastive branch: mining, loss, backward pass, queue')
    axes.margins(y=0.12)
    axes.legend(fontsize=10)
    _finish(axes)
    figure.savefig(str(file), dpi=100)


def draw_growth(content: dict[str, Any], file: Path) -> None:
    """Writes a PNG: time and memory of the branch over C, K, B and W.

    Args:
        content: of ``growth.json``.
        file: of the picture.
    """
    figure = _figure((12, 4.8))
    panels = figure.subplots(1, 2)
    for row in content['rows']:
        colour, marker = _LINES[row['variable']]
        values = [point['value'] for point in row['points']]
        for axes, name, costs in (
                (panels[0], 'time', [p['seconds']['median'] * 1e3 for p in row['points']]),
                (panels[1], 'memory', [p['bytes'] / 2**20 for p in row['points']])):
            last = row['exponents'][f'{name}_last']
            axes.loglog(values, costs, marker=marker, color=colour, linewidth=1.6, markersize=5,
                        label=f'{row["variable"]}: exponent {last:.2f} at the end')
    panels[0].set(title='Time of a step', xlabel='value', ylabel='ms')
    panels[1].set(title='Memory of a step at its peak, beside the queue', xlabel='value',
                  ylabel='MiB')
    for axes in panels:
        axes.legend(fontsize=9)
        _finish(axes)
    figure.suptitle('Growth with C classes, K keys a class, B images, W processes', fontsize=13)
    figure.savefig(str(file), dpi=100)
