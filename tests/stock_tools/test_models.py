"""mmpretrain finds the configs by their names."""

import subprocess
import sys

import mmpretrain
import pytest
from mmpretrain.apis.model import ModelHub

from rescom_mm.utils.model_index import announce_models
from tests.configs import FILES
from tests.metafiles import INDEX
from tests.runs import ROOT, load

NAME = 'rescom_tiny_digits-lt'


@pytest.fixture(autouse=True)
def hub(monkeypatch):
    """ModelHub as it is after an import, without mmpretrain's own models (a second to read)."""
    monkeypatch.setattr(ModelHub, '_models_dict', {})
    monkeypatch.setattr(ModelHub, '_register_mmpretrain_models', classmethod(lambda hub: None))
    announce_models()


@pytest.mark.stack
def test_list_models():
    assert not ModelHub._models_dict  # nothing was read yet
    assert mmpretrain.list_models() == sorted(FILES)
    ours = [name for name in FILES if name.startswith('rescom')]
    assert mmpretrain.list_models('rescom*') == sorted(ours) and len(ours) > 10
    assert mmpretrain.list_models(task='Image Classification') == sorted(FILES)


def test_somebody_has_registered_them():
    """By hand before the first look-up, as mmpretrain's manual has it."""
    ModelHub.register_model_index(INDEX, config_prefix=ROOT)
    assert mmpretrain.list_models() == sorted(FILES)


def test_no_index(monkeypatch, tmp_path):
    monkeypatch.setattr('rescom_mm.utils.model_index.project_folder', lambda: tmp_path)
    assert mmpretrain.list_models() == []


def test_get_model(trained):
    model = mmpretrain.get_model(NAME, pretrained=str(trained.checkpoint))
    state = load(trained.checkpoint)['state_dict']
    assert all(bool((value == state[key]).all()) for key, value in model.state_dict().items())
    with pytest.warns(UserWarning, match='Unable to find pre-defined checkpoint'):
        mmpretrain.get_model(NAME, pretrained=True)  # nothing is published


@pytest.mark.parametrize('model', [NAME, str(FILES[NAME])], ids=['name', 'path'])
def test_inferencer(trained, folder, model):
    """Ready for one image file: a seven, after two epochs of training not always seen as such."""
    image, weights = str(folder / 'seven.png'), str(trained.checkpoint)
    found, = mmpretrain.ImageClassificationInferencer(model, pretrained=weights)(image)
    assert found['pred_class'] == str(found['pred_label']) and found['pred_scores'].shape == (10,)
    if model == NAME:
        again = mmpretrain.inference_model(model, image, pretrained=weights)
        assert again['pred_score'] == found['pred_score']


@pytest.mark.slow
def test_beside_mmpretrains_own():
    done = subprocess.run([sys.executable, '-c', '''
import rescom_mm
from mmpretrain import list_models
print(len(list_models('rescom*')), len(list_models('resnet50*')))
'''], cwd=ROOT, text=True, capture_output=True, check=True)
    ours, theirs = map(int, done.stdout.split()[-2:])
    assert ours == sum(name.startswith('rescom') for name in FILES) and theirs > 5
