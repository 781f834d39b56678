"""tools/model/calibrate.py: the temperature, the split it is fitted on, and what is written."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from scipy.special import softmax

from rescom_mm.apis.production import calibrate, priors
from rescom_mm.apis.production.calibrate import (
    calibration_error,
    fit_temperature,
    nll,
    shared_images,
)
from rescom_mm.apis.production.inference_model import inference_model
from rescom_mm.apis.production.predict_logits import build_loader, predict_logits
from rescom_mm.datasets import DigitsLT, OwnImages
from tests.runs import TINY, load, train
from tests.standin import write_folders

TUNE = ['--cfg-options', *(f'{name}_dataloader.dataset.split={split}' for name, split in
                           (('train', 'tune_train'), ('val', 'tune_val')))]


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp('digits')
    train(folder, epochs=3, without=('results', ), train_dataloader__dataset__split='tune_train',
          val_dataloader__dataset__split='tune_val')
    return folder / 'epoch_3.pth'


@pytest.mark.parametrize('temperature', [0.4, 1.0, 3.0])
def test_finds_the_temperature_that_labels_are_drawn_with(temperature):
    generator = np.random.default_rng(0)
    true = generator.normal(scale=2, size=(20_000, 5))
    labels = np.array([generator.choice(5, p=p) for p in softmax(true, axis=1)])
    logits = temperature * true
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.02)
    # no temperature of a fine grid is better
    grid = np.exp(np.linspace(np.log(0.1), np.log(10), 200))
    assert nll(logits, labels, found) <= min(nll(logits, labels, t) for t in grid) + 1e-9
    assert calibration_error(logits / found, labels) < 1.5
    if temperature != 1:
        assert calibration_error(logits, labels) > 5


def test_nll_is_cross_entropy():
    logits, labels = np.random.default_rng(0).normal(size=(9, 4)), np.arange(9) % 4
    want = torch.nn.functional.cross_entropy(torch.tensor(logits) / 2.5, torch.tensor(labels))
    assert nll(logits, labels, 2.5) == pytest.approx(want.item(), rel=1e-9)


def test_nothing_to_fit():
    labels = np.arange(30) % 3
    with pytest.raises(ValueError, match='30 of the 30 validation images are cl'):
        fit_temperature(np.eye(3)[labels], labels)
    with pytest.raises(ValueError, match='no temperature'):  # as good as chance
        fit_temperature(np.eye(3)[labels], (labels + 1) % 3)


def test_folded_temperature(digits, tmp_path, capsys):
    out = tmp_path / 'calibrated.pth'
    calibrate.main([str(TINY), str(digits), str(out), *TUNE])
    said = capsys.readouterr().out
    temperature = load(out)['meta']['temperature']
    assert f'temperature {temperature:.4f}, fitted on 250 images' in said
    cfg = Config.fromfile(TINY)
    loader = build_loader(cfg.test_dataloader)
    raw, _ = predict_logits(inference_model(cfg, digits).model, loader)
    pair = inference_model(Config.fromfile(out.with_suffix('.py')), out)
    scaled, _ = predict_logits(pair.model, loader)
    np.testing.assert_allclose(scaled * temperature, raw, rtol=1e-4, atol=1e-4)
    assert (scaled.argmax(1) == raw.argmax(1)).all()
    tuned = build_loader(dict(cfg.val_dataloader, dataset=dict(cfg.val_dataloader.dataset,
                                                               split='tune_val')))
    tuned_logits, tuned_labels = predict_logits(pair.model, tuned)
    assert fit_temperature(tuned_logits, tuned_labels) == pytest.approx(1, abs=1e-3)
    assert f'{nll(tuned_logits, tuned_labels):.4f}' in said.split('after:')[1]


def test_other_images_than_test_and_training_ones_are_wanted(digits, tmp_path, capsys):
    out = tmp_path / 'x.pth'
    with pytest.raises(SystemExit, match='500 of the 500 images of val_dataloader are test images'):
        calibrate.main([str(TINY), str(digits), str(out)])
    with pytest.raises(SystemExit, match='of the 250 images of val_dataloader are train images'):
        calibrate.main([str(TINY), str(digits), str(out), '--cfg-options',
                        'val_dataloader.dataset.split=tune_val'])
    assert not out.exists()
    calibrate.main([str(TINY), str(digits), str(out), '--any-split'])
    assert out.exists()
    with pytest.raises(SystemExit, match='fit the temperature without it'):
        calibrate.main([str(TINY), str(digits), str(out), '--cfg-options',
                        'model.head.type=PriorAdjustedHead', 'model.head.of=LinearClsHead',
                        'model.head.test_prior=uniform'])
    # training images that are not on this machine can't be compared with
    train_set = TUNE[:-1] + ['val_dataloader.dataset.split=tune_val']
    calibrate.main([str(TINY), str(digits), str(out), *train_set,
                    'train_dataloader.dataset.split=none'])
    assert 'not compared with train_dataloader.dataset (ValueError' in capsys.readouterr().out


def test_shared_images(tmp_path):
    write_folders(tmp_path, a=3, b=2)
    (tmp_path / 'list.txt').write_text('a/0.png 0\nb/../b/1.png 1\n')
    whole = OwnImages(data_root=str(tmp_path))
    part = OwnImages(data_root=str(tmp_path), ann_file='list.txt')
    assert shared_images(part, whole) == 2 and shared_images(whole, part) == 2
    splits = {split: DigitsLT(split=split) for split in ('train', 'test', 'tune_train', 'tune_val')}
    assert shared_images(splits['tune_val'], splits['tune_train']) == 0
    assert shared_images(splits['tune_val'], splits['test']) == 0
    assert shared_images(splits['test'], splits['test']) == 500


def test_prior_tool(digits, tmp_path, capsys):
    out = tmp_path / 'prior.txt'
    priors.main([str(TINY), str(digits), str(out), '--table'])
    said = capsys.readouterr().out
    assert 'class prior of 500 images' in said and '| backward 50 | 135 |' in said
    found = np.loadtxt(out)
    with pytest.raises(SystemExit, match=r'must end in \.txt'):
        priors.main([str(TINY), str(digits), str(tmp_path / 'prior')])
    assert found.shape == (10, ) and found.sum() == pytest.approx(1, abs=1e-6) and found.min() > 0
    with pytest.raises(SystemExit, match='trained-prior is not set'):
        priors.main([str(TINY), str(digits), str(out), '--cfg-options',
                     'model.head.loss.type=LabelSmoothLoss',
                     'model.head.loss.label_smooth_val=0.1'])
