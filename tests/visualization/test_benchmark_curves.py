"""The curves that are drawn are those of the runs: means over the seeds, in epochs."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from rescom_mm.visualization.benchmark_curves import draw_benchmark


def run(shift, terms=('loss_cls', 'loss_con', 'loss'), few=True):
    history = [{'epoch': e, 'iter': 10 * e, 'shot/all': 10 * e + shift,
                **({'shot/few': e + shift} if few else {})} for e in (1, 2, 3)]
    curves = {name: [[5 * i, 6.0 - i + shift + 10 * number] for i in range(1, 7)]
              for number, name in enumerate(terms)}
    return dict(history=history, curves=curves, iterations=30, epochs=3)


def test_lines(tmp_path, monkeypatch):
    drawn = []
    plot = Axes.plot
    monkeypatch.setattr(Axes, 'plot', lambda axes, x, y, style, **look: (
        drawn.append((look['label'], style, list(x), list(np.round(y, 6)), look['color'])),
        plot(axes, x, y, style, **look))[1])
    draw_benchmark('Some-LT', {'1: rescom': [run(0), run(2)],
                               '2: ce': [run(1, ['loss'], few=False)]}, tmp_path / 'x.png')
    assert (tmp_path / 'x.png').read_bytes().startswith(b'\x89PNG')
    epochs, halves = [1, 2, 3], [0.5, 1, 1.5, 2, 2.5, 3]
    assert [line[:4] for line in drawn] == [
        ('1: rescom (2 seeds)', '-', epochs, [11, 21, 31]), (None, '--', epochs, [2, 3, 4]),
        (None, '-', halves, [6, 5, 4, 3, 2, 1]), (None, '--', halves, [16, 15, 14, 13, 12, 11]),
        ('2: ce (1 seed)', '-', epochs, [11, 21, 31]),
        (None, '-', halves, [6, 5, 4, 3, 2, 1])]
    assert len({line[4] for line in drawn[:4]}) == 1 and drawn[4][4] != drawn[0][4]


@pytest.mark.parametrize('count', [1, 9])
def test_many_experiments_can_be_told_apart(count, tmp_path, monkeypatch):
    looks = set()
    plot = Axes.plot
    monkeypatch.setattr(Axes, 'plot', lambda axes, *args, **look: (
        looks.add((look['color'], look['marker'])) if look['label'] else None,
        plot(axes, *args, **look))[1])
    draw_benchmark('Some-LT', {f'{i}: x': [run(i)] for i in range(count)}, tmp_path / 'x.png')
    assert len(looks) == count
