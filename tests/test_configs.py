"""Every config takes two real training steps and one evaluation on stand-in data."""

import math

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from tests.runs import ROOT
from tests.standin import LISTS, write_cifar, write_lists

# rescom_r50_custom.py has no data of its own; tests/apis trains it as the README does
CONFIGS = sorted(path.relative_to(ROOT) for folder in ('rescom', 'baselines', 'ablation')
                 for path in (ROOT / 'configs' / folder).glob('*.py')
                 if path.stem != 'rescom_r50_custom')
# one of each kind in every CI run, all of them in the slow set
QUICK = {'rescom_r32_cifar100-lt-if100', 'rescom_r32_cifar10-lt-if10', 'rescom_r50_imagenet-lt',
         'rescom_rx50_imagenet-lt', 'rescom_r50_inat18', 'rescom_r152_places-lt',
         'balsfx_r32_cifar100-lt-if100', 'moco-balsfx_r32_cifar100-lt-if100',
         'queue-reversed_r32_cifar100-lt-if100', 'supcon-cbl-balsfx_r32_cifar100-lt-if100'}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Folders of stand-in data, made when first asked for."""
    made = {}

    def folder(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            if kind in LISTS:
                write_lists(made[kind], kind)
            else:
                write_cifar(made[kind], 100 if kind == 'CIFAR100LT' else 10)
        return made[kind]

    return folder


def shrink(cfg, data, work_dir):
    """Points the config at stand-in data and makes images and batches small; the rest stays."""
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg[name]
        kind = loader.dataset.type
        loader.update(num_workers=0, persistent_workers=False, batch_size=4,
                      collate_fn=dict(type='default_collate'))
        if kind == 'DigitsLT':
            continue
        loader.dataset.data_root = str(data(kind))
        if kind.startswith('CIFAR'):
            loader.dataset.check_md5 = False
    for transform in cfg.train_dataloader.dataset.pipeline:
        for inner in transform.get('transforms', [[]])[0]:
            if inner.type == 'RandomResizedCrop':
                inner.scale = 64
    for transform in cfg.val_dataloader.dataset.pipeline:
        if transform.type == 'ResizeEdge':
            transform.scale = 64
        if transform.type == 'CenterCrop':
            transform.crop_size = 64
    cfg.merge_from_dict(dict(work_dir=str(work_dir), log_level='WARNING'))
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
    cfg.param_scheduler = None  # they count epochs; test_schedules.py has them
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=100,
                                        save_last=False)
    return cfg


@pytest.mark.parametrize('config', [
    pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else [pytest.mark.slow])
    for path in CONFIGS])
def test_config_trains_and_evaluates(config, data, tmp_path):
    cfg = shrink(Config.fromfile(ROOT / config), data, tmp_path)
    if 'init_cfg' in cfg.model.backbone:  # weights that the user names
        weights = tmp_path / 'weights.pth'
        backbone = dict(cfg.model.backbone, init_cfg=None)
        from mmpretrain.registry import MODELS
        torch.save(MODELS.build(backbone).state_dict(), weights)
        cfg.model.backbone.init_cfg.checkpoint = str(weights)
    runner = Runner.from_cfg(cfg)
    before = {name: p.detach().clone() for name, p in runner.model.named_parameters()
              if p.requires_grad}
    runner.train()
    assert all(torch.isfinite(p).all() for p in runner.model.parameters())
    changed = {name for name, p in runner.model.named_parameters()
               if name in before and not torch.equal(before[name], p)}
    assert 'head.fc.weight' in changed
    if getattr(runner.model, 'projector', None) is not None:
        assert 'projector.fc0.weight' in changed
    if getattr(runner.model, 'queue', None) is not None:
        assert runner.model.queue.valid.any() and runner.model.queue._commits == 2
    last = runner.message_hub.runtime_info['rescom_results/history'][-1]
    assert {'shot/all', 'calibration/ece'} <= set(last)
    assert all(math.isfinite(value) for value in last.values())


def test_every_recipe_can_scale_its_rate():
    for path in CONFIGS:
        cfg = Config.fromfile(ROOT / path)
        assert cfg.auto_scale_lr.base_batch_size > 0, path
        assert cfg.optim_wrapper.optimizer.get('nesterov', False) is False, path
