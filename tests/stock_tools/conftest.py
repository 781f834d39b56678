"""A checkpoint, what it predicts, and an image file."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.runner import Runner
from PIL import Image
from sklearn.datasets import load_digits

from tests.runs import tiny_config, train
from tests.stock_tools.shell import ONEDL, environment


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """Two epochs of the quick start: folder, checkpoint, predictions.pkl, results, log."""
    folder = tmp_path_factory.mktemp('trained')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('rescom_mm.engine.hooks.results_hook.draw_results', lambda *args: None)
        train(folder)
    predictions = folder / 'predictions.pkl'
    cfg = tiny_config(folder / 'test', load_from=str(folder / 'epoch_2.pth'), test_evaluator=[
        dict(type='DumpResults', out_file_path=str(predictions)), dict(type='ShotAccuracy')])
    figures = Runner.from_cfg(cfg).test()
    log, = folder.glob('2*/vis_data/2*.json')
    return SimpleNamespace(folder=folder, checkpoint=folder / 'epoch_2.pth',
                           predictions=predictions, figures=figures, log=log)


@pytest.fixture
def folder(trained, tmp_path):
    """With predictions.pkl and seven.png, as after the commands above on the page."""
    (tmp_path / 'predictions.pkl').write_bytes(trained.predictions.read_bytes())
    pixels = np.round(load_digits().images[7] * (255 / 16)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'seven.png')
    return tmp_path


@pytest.fixture(scope='session')
def stock_packages(tmp_path_factory):
    """A Python that has what the tools of this stack need besides."""
    needed = ['ttach', 'tqdm', 'grad-cam>=1.5' if ONEDL else 'grad-cam<1.5']
    return environment(tmp_path_factory.mktemp('environment') / 'fresh', *needed,
                       *(['scikit-learn<1.7'] * (not ONEDL)))
