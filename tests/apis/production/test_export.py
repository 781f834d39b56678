"""tools/model/export.py: the file alone gives what the model gives."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from scipy.special import softmax

from rescom_mm.apis.production import export
from rescom_mm.apis.production.cli import output_file
from rescom_mm.apis.production.export import (
    Deployed,
    image_size,
    largest_differences,
    load_exported,
    loads_files,
)
from rescom_mm.apis.production.inference_model import inference_model
from rescom_mm.datasets.transforms import LoadImage
from tests.apis.production.test_strip import PLACES, own_training
from tests.configs import read
from tests.runs import TINY
from tests.trained import full_model, save_training

needs_pt2 = pytest.mark.skipif(export._torch_version() < (2, 6), reason='torch.export of 2.6')


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    file = tmp_path_factory.mktemp('digits') / 'full.pth'
    save_training(file, full_model(Config.fromfile(TINY)), '0123456789', range(10, 0, -1))
    return file


def by_hand(model, rgb_images):
    """Scores by the preprocessor's own steps on BGR images, one by one."""
    scores = []
    for image in rgb_images:
        bgr = torch.from_numpy(image[::-1].copy())
        with torch.no_grad():
            sample = model.test_step(dict(inputs=[bgr]))[0]
        scores.append(sample.pred_score.numpy())
    return np.stack(scores)


def test_onnx(digits, tmp_path, capsys):
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxscript')
    onnxruntime = pytest.importorskip('onnxruntime')
    out = tmp_path / 'digits.onnx'
    export.main([str(TINY), str(digits), str(out)])
    assert 'image uint8 [N, 3, 8, 8] RGB -> scores, logits' in capsys.readouterr().out
    notes = {prop.key: prop.value for prop in onnx.load(out).metadata_props}
    assert json.loads(notes['classes']) == list('0123456789')
    assert json.loads(notes['logits_prior']) == pytest.approx([0.1] * 10)
    session = onnxruntime.InferenceSession(out, providers=['CPUExecutionProvider'])
    assert [i.name for i in session.get_inputs()] == ['image']
    model = full_model(Config.fromfile(TINY))
    for batch in (1, 3, 16):
        image = np.random.default_rng(batch).integers(0, 256, (batch, 3, 8, 8), dtype=np.uint8)
        scores, logits = session.run(['scores', 'logits'], dict(image=image))
        data = model.data_preprocessor(dict(inputs=list(torch.from_numpy(image))))
        with torch.no_grad():
            want = model(data['inputs'], mode='tensor')
        np.testing.assert_allclose(logits, want.numpy(), atol=1e-4)
        np.testing.assert_allclose(scores, want.softmax(1).numpy(), atol=1e-4)


@needs_pt2
def test_torch_export(digits, tmp_path):
    out = tmp_path / 'digits.pt2'
    export.main([str(TINY), str(digits), str(out)])
    files = {'notes.json': ''}
    torch.export.load(str(out), extra_files=files)
    assert json.loads(json.loads(files['notes.json'])['classes']) == list('0123456789')
    image = np.random.default_rng(0).integers(0, 256, (9, 3, 8, 8), dtype=np.uint8)
    scores, logits = load_exported(out)(image)
    np.testing.assert_allclose(scores, softmax(logits, axis=1), atol=1e-6)


@pytest.mark.parametrize('to_rgb', [True, False])
def test_channels_are_not_mixed_up(tmp_path, to_rgb):
    """RGB goes in, whatever the model was trained with; its files are loaded as BGR."""
    cfg = Config.fromfile(TINY)
    cfg.data_preprocessor.update(mean=[10, 120, 230], std=[50, 60, 70], to_rgb=to_rgb)
    model = full_model(cfg)
    image = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), dtype=np.uint8)
    with torch.no_grad():
        scores = Deployed(model, rgb=False)(torch.from_numpy(image))[0].numpy()
    np.testing.assert_allclose(scores, by_hand(model, image), atol=1e-6)
    assert np.abs(scores - by_hand(model, image[:, ::-1])).max() > 1e-3
    found = SimpleNamespace(model=model)
    same = largest_differences(found, lambda x: Deployed(model, False)(torch.from_numpy(x)),
                               (8, 8), rgb=False)
    other = largest_differences(found, lambda x: Deployed(model, True)(torch.from_numpy(x)),
                                (8, 8), rgb=False)
    assert max(same.values()) == 0 and other['logits'] > 1e-3


@pytest.mark.slow
def test_resnet50_onnx(tmp_path, capsys):
    pytest.importorskip('onnxruntime')
    config, checkpoint, _ = own_training(tmp_path, PLACES)
    export.main([str(config), str(checkpoint), str(tmp_path / 'model.onnx')])
    assert 'image uint8 [N, 3, 224, 224] RGB' in capsys.readouterr().out


def test_image_size():
    for name, size in (('rescom_r50_custom', (224, 224)), ('rescom_tiny_digits-lt', (8, 8))):
        dataset = read(name).test_dataloader.dataset
        assert image_size(dataset.pipeline, dataset) == size
    dataset = read('rescom_r32_cifar100-lt-if100').test_dataloader.dataset
    dataset.data_root = 'none'
    with pytest.raises(ValueError, match='give --size HEIGHT WIDTH'):
        image_size(dataset.pipeline, dataset)


def test_files_are_loaded_as_bgr():
    for step in ('LoadImage', 'LoadImageFromFile', 'mmpretrain.LoadImageFromFile', LoadImage):
        assert loads_files([dict(type=step), dict(type='PackInputs')])
    assert not loads_files([dict(type='PackInputs')])


def test_exports_lie_beside_the_config(tmp_path):
    """Only a pair has a config of the same name."""
    for ending in ('.onnx', '.pt2', '.txt'):
        out = tmp_path / f'birds{ending}'
        assert output_file(str(out), [str(tmp_path / 'birds.py')], (ending, )) == out
    with pytest.raises(SystemExit, match=r'birds\.py is read, and would be overwritten'):
        output_file(str(tmp_path / 'birds.pth'), [str(tmp_path / 'birds.py')])


def test_wrong_files_are_not_written(digits, tmp_path, monkeypatch):
    found = inference_model(Config.fromfile(TINY), digits)

    def off(image):
        shape = len(image), 10
        return [np.full(shape, 0.1, np.float32), np.zeros(shape, np.float32)]

    assert max(largest_differences(found, off, (8, 8), True).values()) > 1e-3
    monkeypatch.setattr(export, 'export', lambda *args: None)
    monkeypatch.setattr(export, 'load_exported', lambda file: off)
    out = tmp_path / 'digits.pt2'
    with pytest.raises(SystemExit, match='differs from the trained one'):
        export.main([str(TINY), str(digits), str(out)])
    assert not out.exists()
    with pytest.raises(SystemExit, match=r'must end in \.onnx or \.pt2'):
        export.main([str(TINY), str(digits), str(tmp_path / 'digits.pt')])
