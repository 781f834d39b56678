"""The config that everybody types takes real steps on stand-in images in the benchmark's format."""

import json

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from tests.runs import ROOT, load
from tests.standin import write_lists

CONFIG = ROOT / 'configs' / 'rescom' / 'rescom_r50_imagenet-lt.py'


def test_trains(tmp_path):
    torch.manual_seed(0)
    write_lists(tmp_path, 'ImageNetLT')
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
