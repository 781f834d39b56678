"""Widths that a config leaves out are read off the built backbone."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmpretrain.models.heads import LinearClsHead
from mmpretrain.registry import MODELS

from rescom_mm.models import SiameseClassifier
from tests.configs import FILES
from tests.models.test_siamese_classifier import config
from tests.runs import ROOT

GAP = dict(type='GlobalAveragePooling')


def without(width):
    """The config with the widths of head and projector left out, or None."""
    parts = config()
    for part, names in (('head', ['in_channels']), ('projector', ['in_channels', 'hid_channels'])):
        for name in names:
            parts[part].pop(name)
            if width == 'None':
                parts[part][name] = None
    return parts


@pytest.mark.parametrize('width', ['left out', 'None'])
def test_same_network_and_random_numbers(width):
    drawn, states = [], []
    for parts in (config(), without(width)):
        given = copy.deepcopy(parts)
        torch.manual_seed(0)
        model = SiameseClassifier(**parts)
        drawn.append(torch.rand(3))
        states.append(model.state_dict())
        assert parts == given
        assert all(module.training for module in model.modules())
        assert model.backbone.norm1.num_batches_tracked == 0
    assert torch.equal(*drawn) and states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_hidden_width_follows_the_written_one():
    parts = config()
    parts['projector'].pop('hid_channels')
    assert SiameseClassifier(**parts).projector.fc0.weight.shape == (4, 4)
    parts['projector']['hid_channels'] = 7
    assert SiameseClassifier(**parts).projector.fc0.weight.shape == (7, 4)


@pytest.mark.parametrize('head', [
    dict(type='VisionTransformerClsHead', hidden_dim=5),
    dict(type='StackedLinearClsHead', mid_channels=[9, 5]),
])
def test_projector_gets_the_width_of_the_heads_hidden_layer(head):
    parts = without('left out')
    parts['head'] = dict(head, num_classes=3, loss=parts['head']['loss'])
    model = SiameseClassifier(**parts)
    assert model.head.in_channels == 4 and model.projector.fc0.weight.shape == (5, 5)


def test_head_of_ones_own():
    """Whose class takes the width through ``**kwargs``."""
    class Own(LinearClsHead):
        def __init__(self, scale=1.0, **kwargs):
            super().__init__(**kwargs)

    parts = without('left out')
    parts['head']['type'] = Own
    assert SiameseClassifier(**parts).head.in_channels == 4


def test_head_of_another_type():
    parts = without('left out')
    parts['head'].update(type='PriorAdjustedHead', of='LinearClsHead', test_prior='uniform')
    assert SiameseClassifier(**parts).head.fc.in_features == config()['head']['in_channels']


def test_necks_in_a_list():
    parts = without('left out')
    parts['neck'] = [dict(type='GlobalAveragePooling'),
                     dict(type='LinearNeck', in_channels=4, out_channels=6)]
    model = SiameseClassifier(**parts)
    assert model.head.in_channels == 6 and len(model.neck) == 2


def test_nothing_is_left_in_a_backbone_that_caches():
    """LeViT keeps its attention biases in evaluation mode."""
    parts = without('left out')
    parts['backbone'] = dict(type='LeViT', arch='128s', img_size=64)
    model = SiameseClassifier(**parts)
    assert not any('ab' in vars(module) for module in model.modules())
    copy.deepcopy(model)  # what mmengine's averaged models do


def test_width_that_cannot_be_read():
    class Device(torch.nn.Module):
        def forward(self, x):
            raise RuntimeError('no kernel')

    parts = without('left out')
    parts['backbone'] = Device()
    with pytest.raises(ValueError, match=r'head\.in_channels is not set, .*Device: no kernel.*set'):
        SiameseClassifier(**parts)
    parts['head']['in_channels'] = 4
    with pytest.raises(ValueError, match=r'projector\.in_channels is not set'):
        SiameseClassifier(**parts)


@pytest.mark.parametrize('changes, message', [
    (dict(neck=None), r'the head needs features of shape \[N, F\].*GlobalAveragePooling'),
    (dict(neck=[GAP, GAP]),
     r'neck Sequential after ResNet_CIFAR, which gives \[\[1, 4, \d+, \d+\]\]:'),
    (dict(backbone=dict(type='ConvNeXt', arch='atto')),
     r'neck GlobalAveragePooling after ConvNeXt, .*: set model\.neck=None: '),
    (dict(head=dict(type='VisionTransformerClsHead', num_classes=3, in_channels=8, hidden_dim=5)),
     r'set model\.head\.in_channels=4, or leave it out'),
])
def test_messages(changes, message):
    with pytest.raises(ValueError, match=message):
        SiameseClassifier(**{**without('left out'), **changes})


def test_own_images_with_the_backbone_of_the_page(tmp_path):
    """The first config of docs/backbones.md; and a ResNet of another depth."""
    page = (ROOT / 'docs' / 'backbones.md').read_text(encoding='utf-8')
    shown = page.split('```python\n')[1].split('```')[0]
    for text, width in ((shown, 384), (
            "_base_ = 'rescom_r50_custom.py'\n"
            'model = dict(backbone=dict(depth=18), head=dict(num_classes=7))', 512)):
        file = tmp_path / f'birds{width}.py'
        file.write_text(text.replace('rescom_r50_custom.py', str(FILES['rescom_r50_custom'])))
        model = MODELS.build(Config.fromfile(file).model)
        assert model.head.fc.weight.shape == (7, width)
        assert model.projector.fc0.weight.shape == (width, width)
