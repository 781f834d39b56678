"""Learning rates of the recipes, epoch by epoch, against their closed forms."""

import math

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from tests.runs import ROOT


def cosine(lr, epochs, warmup, floor=1e-5):
    def rate(epoch):
        if epoch < warmup:
            return lr * epoch / warmup
        low = floor * lr
        return low + (lr - low) / 2 * (1 + math.cos(
            math.pi * (epoch - warmup) / (epochs - warmup)))
    return rate


def cifar(epoch):
    if epoch < 10:
        return 0.1 * epoch / 10
    return 0.1 if epoch <= 320 else 0.01 if epoch <= 360 else 0.001


@pytest.mark.parametrize('name, closed_form', [
    ('rescom_cifar_400e', cifar),
    ('rescom_400e', cosine(0.06, 400, 10)),
    ('rescom_inat18_400e', cosine(0.08, 400, 10)),
    ('rescom_places_30e', cosine(0.02, 30, 5)),
])
def test_rate_of_every_epoch(name, closed_form):
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / 'schedules' / f'{name}.py')
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=cfg.optim_wrapper.optimizer.lr, momentum=0.9)
    wrapper = OptimWrapper(optimizer)
    schedulers = [PARAM_SCHEDULERS.build(dict(s, optimizer=wrapper, by_epoch=True))
                  for s in cfg.param_scheduler]
    wrapper.update_params(parameter.sum())
    for epoch in range(1, cfg.train_cfg.max_epochs + 1):  # numbered from 1, as in the recipes
        assert optimizer.param_groups[0]['lr'] == pytest.approx(closed_form(epoch), rel=1e-9), epoch
        for scheduler in schedulers:
            scheduler.step()
    assert not cfg.optim_wrapper.optimizer.get('nesterov')


def test_places_freezes_all_convolutions_but_the_last_blocks():
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / 'schedules' / 'rescom_places_30e.py')
    from mmpretrain.registry import MODELS
    model = torch.nn.ModuleDict(dict(
        backbone=MODELS.build(dict(type='ResNet', depth=50)), head=torch.nn.Linear(3, 2)))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rates = {id(p): group['lr'] for group in wrapper.param_groups for p in group['params']}
    kinds = dict(model.named_modules())
    for name, parameter in model.named_parameters():
        layer = kinds[name.rpartition('.')[0]]
        frozen = isinstance(layer, torch.nn.Conv2d) and not name.startswith('backbone.layer4.2.')
        assert rates[id(parameter)] == (0 if frozen else 0.02), name
