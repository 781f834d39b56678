"""The config that everybody types takes real steps on stand-in images in the benchmark's format."""

import json

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from tests.runs import ROOT, load

CONFIG = ROOT / 'configs' / 'rescom' / 'rescom_r50_imagenet-lt.py'


def stand_in(folder):
    """1,000 classes of 1 to 3 images over 12 JPEG files, train, val and test lists."""
    generator = np.random.default_rng(0)
    files = []
    for i in range(12):
        path = folder / 'train' / f'n{i:08d}' / f'n{i:08d}_{i}.JPEG'
        path.parent.mkdir(parents=True)
        size = (int(generator.integers(40, 90)), int(generator.integers(40, 90)), 3)
        Image.fromarray(generator.integers(0, 256, size, dtype=np.uint8)).save(path)
        files.append(path.relative_to(folder).as_posix())
    lines = [f'{files[(7 * label + k) % 12]} {label}'
             for label in range(1000) for k in range(3 if label < 40 else 1)]
    (folder / 'ImageNet_LT_train.txt').write_text('\n'.join(lines) + '\n')
    for split in ('val', 'test'):
        (folder / f'ImageNet_LT_{split}.txt').write_text(
            '\n'.join(f'{files[i]} {i}' for i in range(12)) + '\n')


def test_trains(tmp_path):
    torch.manual_seed(0)
    stand_in(tmp_path)
    cfg = Config.fromfile(CONFIG)
    model = cfg.model
    assert model.queue.keys_per_class == 4 and model.contrastive_loss.num_negatives == 500
    cfg.merge_from_dict({
        'work_dir': str(tmp_path / 'run'), 'log_level': 'WARNING',
        'train_cfg.max_epochs': 1, 'default_hooks.logger.interval': 1})
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[name].dataset.data_root = str(tmp_path)
        cfg[name].num_workers, cfg[name].persistent_workers = 0, False
        cfg[name].collate_fn = dict(type='default_collate')
        cfg[name].batch_size = 4
    # smaller views: the file format, the pipeline and the model are what is tested
    cfg.train_dataloader.dataset.pipeline[1].transforms[0][0].scale = 64
    # two steps
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
    cfg.param_scheduler = None
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=2)
    runner = Runner.from_cfg(cfg)
    before = runner.model.backbone.conv1.weight.detach().clone()
    runner.train()
    assert not torch.equal(before, runner.model.backbone.conv1.weight)
    assert runner.model.queue.keys.shape == (4000, 128)
    assert int(runner.model.queue.valid.sum()) >= 7  # 8 images, hardly two of a class
    saved = load(tmp_path / 'run' / 'iter_2.pth')
    assert len(saved['meta']['dataset_meta']['class_counts']['images']) == 1000
    results = json.loads((tmp_path / 'run' / 'results.json').read_text())
    assert results['last']['shot/all'] >= 0 and len(results['per_class_accuracy']) == 1000
    assert [entry['iter'] for entry in results['history']] == [2]
