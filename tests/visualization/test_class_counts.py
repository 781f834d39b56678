"""The picture of the long tail, and names that matplotlib would take for formulas."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from rescom_mm.visualization import draw_class_counts, draw_results


@pytest.mark.parametrize('classes', [4, 5000])
def test_groups_and_sizes(tmp_path, monkeypatch, classes):
    drawn = {}
    stairs = Axes.stairs
    monkeypatch.setattr(Axes, 'stairs', lambda axes, values, edges, label, **look: (
        drawn.update({label.split(':')[0]: (values.tolist(), edges.tolist())}),
        stairs(axes, values, edges, label=label, **look))[1])
    counts = [19, 101, 1, 20, *[2] * (classes - 4)]
    draw_class_counts(counts, ['$x^{', '鳥', 'a_b', r'\frac', *map(str, range(classes - 4))],
                      (20, 100), tmp_path / 'x.png')
    assert (tmp_path / 'x.png').read_bytes().startswith(b'\x89PNG')
    few = [19, *[2] * (classes - 4), 1]
    assert drawn == dict(many=([101], [-0.5, 0.5]), medium=([20], [0.5, 1.5]),
                         few=(few, (np.arange(len(few) + 1) + 1.5).tolist()))


def test_formulas_in_the_names_of_classes(tmp_path):
    draw_results(dict(experiment='$x^{', seed=0, class_counts=dict(images=[30, 5]),
                      classes=['$x^{', 'a$b'], per_class_accuracy=[50.0, 20.0],
                      thresholds=(20, 100), final=None, iterations=2, epochs=1, curves={},
                      history=[], one_list=True), tmp_path / 'x.png')
    assert (tmp_path / 'x.png').is_file()
