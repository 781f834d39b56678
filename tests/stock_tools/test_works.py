"""mmpretrain's tools on the quick start's config and a checkpoint of it, unchanged."""

import json
import pickle

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from tests.runs import ROOT, TINY, load
from tests.stock_tools.shell import figure, tool, type_in


@pytest.mark.stack
def test_train_and_test(tmp_path):
    tool('train.py', tmp_path, '--cfg-options train_cfg.max_epochs=1 '
         'val_dataloader.dataset.split=tune_val')
    work = tmp_path / 'work_dirs' / 'rescom_tiny_digits-lt'
    assert (work / 'results.png').is_file()
    final = json.loads((work / 'results.json').read_text())['final']
    assert final['list'] == 'test'
    said, _ = tool('test.py', tmp_path, CHECKPOINT=work / 'epoch_1.pth')
    for name in ('all', 'many', 'medium', 'few'):
        assert f'shot/{name}: {final["figures"][f"shot/{name}"]:.4f}' in said
    assert len(pickle.loads((tmp_path / 'predictions.pkl').read_bytes())) == 500


def confusion(predictions):
    """Counts by label and prediction."""
    found = np.zeros((10, 10), int)
    for sample in pickle.loads(predictions.read_bytes()):
        found[int(sample['gt_label']), int(sample['pred_label'])] += 1
    return found


def test_confusion_matrix(trained, folder):
    tool('analysis_tools/confusion_matrix.py', folder)
    found = pickle.loads((folder / 'confusion.pkl').read_bytes()).numpy()
    assert np.array_equal(found, confusion(trained.predictions)) and found.sum() == 500
    assert Image.open(folder / 'confusion.png').width > 300


@pytest.mark.slow
def test_confusion_matrix_of_a_checkpoint(trained, folder):
    type_in(folder, 'python $TOOLS/analysis_tools/confusion_matrix.py $CONFIG $CHECKPOINT '
            '--out confusion.pkl', CHECKPOINT=trained.checkpoint)
    found = pickle.loads((folder / 'confusion.pkl').read_bytes()).numpy()
    assert np.array_equal(found, confusion(trained.predictions))


def test_browse_dataset(folder):
    tool('visualization/browse_dataset.py', folder)
    sizes = {Image.open(file).size for file in (folder / 'browse').iterdir()}
    assert len(list((folder / 'browse').iterdir())) == 2 and min(sizes)[0] > 300


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['original', 'concat', 'pipeline'])
def test_browse_dataset_modes(folder, mode):
    tool('visualization/browse_dataset.py', folder, f'--mode {mode}')
    assert len(list((folder / 'browse').iterdir())) == 2


@pytest.mark.slow
def test_analyze_results(trained, folder):
    """The hits and misses that were scored lowest."""
    tool('analysis_tools/analyze_results.py', folder, '--topk 3')
    samples = pickle.loads(trained.predictions.read_bytes())
    for name, right in (('success', True), ('fail', False)):
        chosen = sorted((one for one in samples if bool(
            (one['pred_label'] == one['gt_label']).all()) == right),
            key=lambda one: float(one['pred_score'].max()))[:3]
        shown = {int(file.stem) for file in (folder / 'surest' / name).glob('*.png')}
        assert shown == {one['sample_idx'] for one in chosen}


@pytest.mark.slow
def test_eval_metric(trained, folder):
    said, _ = tool('analysis_tools/eval_metric.py', folder)
    assert figure(said, 'accuracy/top1') == pytest.approx(trained.figures['shot/all'])


@pytest.mark.slow
def test_get_flops(folder):
    """Backbone, neck and head; the projector is no part of inference."""
    said, _ = tool('analysis_tools/get_flops.py', folder)
    assert 'Flops:' in said and 'Input shape: (3, 8, 8)' in said


@pytest.mark.slow
def test_analyze_logs(trained, folder):
    tool('analysis_tools/analyze_logs.py', folder, LOG=trained.log)
    assert Image.open(folder / 'curve.png').width > 300


@pytest.mark.slow
def test_vis_tsne(trained, folder, stock_packages):
    said, _ = tool('visualization/vis_tsne.py', folder, '--n-iter 250', python=stock_packages,
                   CHECKPOINT=trained.checkpoint)
    features, = (folder / 'tsne').glob('tsne_*/feat_*.npy')
    assert np.load(features).shape == (500, 64) and 'visualize 500 samples' in said
    assert len(list(features.parent.glob('*.png'))) == 1


@pytest.mark.slow
def test_vis_scheduler(folder):
    tool('visualization/vis_scheduler.py', folder)
    assert Image.open(folder / 'schedule.png').width > 300


@pytest.mark.slow
def test_vis_scheduler_without_data(folder):
    """With its size in the place of the data set."""
    tool('visualization/vis_scheduler.py', folder, '--dataset-size 1158 --ngpus 8',
         CONFIG=ROOT / 'configs' / 'rescom' / 'rescom_r50_imagenet-lt.py')
    assert Image.open(folder / 'schedule.png').width > 300


@pytest.mark.slow
def test_print_config(folder):
    said, _ = tool('misc/print_config.py', folder)
    shown = Config.fromstring(said[said.index('auto_scale_lr'):], '.py')
    wanted = Config.fromfile(TINY)
    assert shown.model == wanted.model and shown.train_dataloader == wanted.train_dataloader


def test_checkpoint_has_what_the_tools_read(trained):
    """Class names, from which get_model and the inferencers take them."""
    assert load(trained.checkpoint)['meta']['dataset_meta']['classes'] == tuple('0123456789')
