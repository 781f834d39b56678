"""Learning rates of all recipes, epoch by epoch, against their closed forms."""

import math

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from tests.configs import FILES, flat, read


def cosine(lr, epochs, warmup, floor=1e-5):
    def rate(epoch):
        if epoch < warmup:
            return lr * epoch / warmup
        low = floor * lr
        return low + (lr - low) / 2 * (1 + math.cos(
            math.pi * (epoch - warmup) / (epochs - warmup)))
    return rate


def short(lr):
    """The project's own for small data: from a tenth in 5 epochs, cosine to 0 over the other 95."""
    def rate(epoch):
        done = epoch - 1
        if done < 5:
            return lr * (0.1 + 0.9 * done / 4)
        return lr / 2 * (1 + math.cos(math.pi * (done - 5) / 95))
    return rate


def cifar(epoch):
    if epoch < 10:
        return 0.1 * epoch / 10
    return 0.1 if epoch <= 320 else 0.01 if epoch <= 360 else 0.001


#: training data -> rate of an epoch, number of epochs, weight decay
RECIPES = dict(
    CIFAR10LT=(cifar, 400, 5e-4), CIFAR100LT=(cifar, 400, 5e-4),
    ImageNetLT=(cosine(0.06, 400, 10), 400, 5e-4),
    INaturalist18=(cosine(0.08, 400, 10), 400, 1e-4),
    PlacesLT=(cosine(0.02, 30, 5), 30, 5e-4),
    DigitsLT=(short(0.2), 100, 5e-4), OwnImages=(short(0.05), 100, 5e-4))


#: of the configs that fine-tune a transformer or a ConvNeXt on one's own images
FINE_TUNING = (short(2.5e-4), 100, 0.05)


def recipe(name):
    """Data and schedule of a config: configs that share both share a curve."""
    cfg = read(name)
    return cfg.train_dataloader.dataset.type, repr(
        [cfg.train_cfg, cfg.optim_wrapper, cfg.param_scheduler])


@pytest.mark.parametrize('name', {recipe(name): name for name in FILES}.values())
def test_rate_of_every_epoch(name):
    cfg = read(name)
    options = cfg.optim_wrapper.optimizer.to_dict()
    fine_tuning = options['type'] == 'AdamW'
    closed_form, epochs, decay = (FINE_TUNING if fine_tuning
                                  else RECIPES[cfg.train_dataloader.dataset.type])
    assert cfg.train_cfg == dict(by_epoch=True, max_epochs=epochs,
                                 val_interval=cfg.train_cfg.val_interval)
    if fine_tuning:
        assert cfg.optim_wrapper.keys() == {'optimizer', 'constructor', 'paramwise_cfg'}
        assert options == dict(type='AdamW', lr=options['lr'], weight_decay=decay)
    else:
        assert cfg.optim_wrapper.keys() == {'optimizer'}
        assert options == dict(type='SGD', lr=options['lr'], momentum=0.9, weight_decay=decay)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=options['lr'])
    wrapper = OptimWrapper(optimizer)
    wrapper.update_params(parameter.sum())
    schedulers = [PARAM_SCHEDULERS.build(dict(s, optimizer=wrapper, by_epoch=True))
                  for s in cfg.param_scheduler]
    for epoch in range(1, epochs + 1):  # numbered from 1, as in the recipes
        assert optimizer.param_groups[0]['lr'] == pytest.approx(closed_form(epoch), rel=1e-9), epoch
        for scheduler in schedulers:
            scheduler.step()


@pytest.mark.parametrize('name', FILES)
def test_rate_can_be_scaled(name):
    """--auto-scale-lr needs the batch size that the rate is for: all processes' together."""
    processes = 8 if flat(name)['train_dataloader.dataset.type'] in (
        'ImageNetLT', 'PlacesLT', 'INaturalist18') else 1
    assert (flat(name)['auto_scale_lr.base_batch_size']
            == processes * flat(name)['train_dataloader.batch_size'])
