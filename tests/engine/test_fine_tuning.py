"""The ViT and ConvNeXt configs start from stock weights, keep frozen layers, learn at their rates.

With the networks made small; tests/test_configs.py trains them as they are.
"""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS

from tests.configs import FILES
from tests.runs import tiny_config
from tests.standin import write_folders

SMALL = dict(
    vit=dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32),
    convnext=dict(depths=[1, 1, 2, 1], channels=[8, 8, 16, 16]))
# what frozen_stages=2 keeps
FROZEN = dict(
    vit=tuple(f'backbone.{part}' for part in (
        'cls_token', 'pos_embed', 'patch_embed.', 'layers.0.', 'layers.1.')),
    convnext=tuple(f'backbone.{part}.{stage}.' for part in ('downsample_layers', 'stages')
                   for stage in range(2)))
NAMES = dict(vit='rescom_vit-s_custom', convnext='rescom_convnext-t_custom')


def depth(family, key):
    """Layers above that of a parameter, by the shape of the networks."""
    part, *rest = key.removeprefix('backbone.').split('.')
    if not key.startswith('backbone.') or part.startswith(('ln', 'norm')):
        return 0
    if family == 'vit':
        return 4 - int(rest[0]) if part == 'layers' else 5  # else the patches and their positions
    # the stem, two stages, a third (three blocks a layer), a fourth; seven layers for small ones
    stage = int(rest[0])
    if part == 'downsample_layers':
        return (7, 5, 4, 1)[stage]
    return (6, 5, 4, 1)[stage]


@pytest.fixture(params=list(NAMES))
def family(request):
    return request.param


def config(family, folder, **options):
    write_folders(folder / 'birds' / 'train', crow=5, owl=3)
    write_folders(folder / 'birds' / 'test', crow=1, owl=1)
    for loader in ('train', 'val', 'test'):
        options.update({f'{loader}_dataloader__dataset__data_root': str(folder / 'birds'),
                        f'{loader}_dataloader__batch_size': 4,
                        f'{loader}_dataloader__num_workers': 0,
                        f'{loader}_dataloader__persistent_workers': False})
    cfg = tiny_config(folder / 'run', FILES[NAMES[family]], epochs=1, model__head__num_classes=2,
                      **options)
    cfg.model.backbone.arch = SMALL[family]
    return cfg


def write_stock(cfg, file):
    """The checkpoint of a stock classifier of five classes with the config's backbone."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        stock = ImageClassifier(backbone=cfg.model.backbone.to_dict(), head=dict(
            type='LinearClsHead', num_classes=5, in_channels=16))
    torch.manual_seed(1)
    for p in stock.parameters():
        torch.nn.init.normal_(p, std=0.1)
    torch.save(dict(state_dict=stock.state_dict(), meta={}), file)
    return stock.state_dict()


def test_load_from_freezing_and_layer_decay(family, tmp_path, no_picture):
    cfg = config(family, tmp_path, load_from=str(tmp_path / 'stock.pth'))
    stock = write_stock(cfg, tmp_path / 'stock.pth')
    cfg.model.backbone.frozen_stages = 2
    runner = Runner.from_cfg(cfg)
    runner.train()

    after = runner.model.state_dict()
    frozen = {key for key, p in runner.model.named_parameters() if not p.requires_grad}
    assert frozen == {key for key in stock if key.startswith(FROZEN[family])}
    learning = {key for key, _ in runner.model.named_parameters()} - frozen
    for key, value in stock.items():
        if key in frozen:
            assert torch.equal(after[key], value), key
        elif key.startswith('backbone.'):  # two small steps from the stock weights
            assert not torch.equal(after[key], value), key
            torch.testing.assert_close(after[key], value, atol=1e-3, rtol=0)
    assert after['head.fc.weight'].shape == (2, 16)  # not the five classes of the checkpoint

    groups = runner.optim_wrapper.optimizer.param_groups
    assert {group['param_name'] for group in groups} == learning
    for group in groups:
        key = group['param_name']
        assert group['initial_lr'] == pytest.approx(
            cfg.optim_wrapper.optimizer.lr * 0.75 ** depth(family, key)), key
        assert group['weight_decay'] == (
            0 if after[key].ndim == 1 or key.endswith(('cls_token', 'pos_embed')) else 0.05), key


def test_backbone_weights_by_init_cfg(family, tmp_path):
    cfg = config(family, tmp_path)
    file = tmp_path / 'stock.pth'
    stock = write_stock(cfg, file)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(file), prefix='backbone')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
        model.init_weights()
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, stock[f'backbone.{key}']), key
