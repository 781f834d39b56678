"""ResNetCIFAR against a functional reference written from the paper, and its initialisation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS

from rescom_mm.models import ResNetCIFAR


def reference(weights, x, depth):
    """He et al., section 4.2, option A, from a flat list of weights in order of use."""
    weights = iter(weights)

    def conv_norm(x, stride):
        kernel, gain, offset, mean, variance = (next(weights) for _ in range(5))
        patches = F.unfold(x, 3, padding=1, stride=stride)  # no conv2d: the sum itself
        size = [-(-s // stride) for s in x.shape[2:]]
        y = torch.einsum('ok,nkp->nop', kernel.flatten(1), patches).unflatten(2, size)
        scale = gain / torch.sqrt(variance + 1e-5)
        return y * scale[:, None, None] + (offset - mean * scale)[:, None, None]

    x = conv_norm(x, 1).clamp(min=0)
    for width in (16, 32, 64):
        for block in range((depth - 2) // 6):
            shrinks = width > 16 and block == 0
            y = conv_norm(conv_norm(x, 2 if shrinks else 1).clamp(min=0), 1)
            if shrinks:
                shortcut = torch.zeros_like(y)
                shortcut[:, width // 4:width // 4 + width // 2] = x[:, :, 0::2, 0::2]
                x = shortcut
            x = (y + x).clamp(min=0)
    assert next(weights, None) is None
    return x


@pytest.mark.parametrize('depth, size', [(20, (32, 32)), (32, (32, 32)), (44, (9, 14)),
                                         (56, (8, 8))])
def test_matches_functional_reference(depth, size):
    torch.manual_seed(depth)
    model = ResNetCIFAR(depth).double()
    model.init_weights()
    for module in model.modules():  # no identity in the normalisation
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                torch.nn.init.uniform_(tensor, 0.5, 1.5)
    model.eval()
    weights = [w.detach() for name, w in model.state_dict().items() if 'num_batches' not in name]
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    (feats,) = model(images)
    assert feats.shape == (2, 64, *(-(-s // 4) for s in size))
    torch.testing.assert_close(feats, reference(weights, images, depth), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('depth, parameters', [
    (20, 269722), (32, 464154), (44, 658586), (56, 853018)])
def test_parameters_with_a_classifier_for_ten_classes(depth, parameters):
    model = ImageClassifier(backbone=dict(type='ResNetCIFAR', depth=depth),
                            neck=dict(type='GlobalAveragePooling'),
                            head=dict(type='LinearClsHead', num_classes=10, in_channels=64))
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.stack
def test_initialisation_by_mmengine():
    """Normal with variance 2 / fan-in on convolutions, also as part of a classifier."""
    torch.manual_seed(0)
    model = ImageClassifier(backbone=dict(type='ResNetCIFAR', depth=32),
                            neck=dict(type='GlobalAveragePooling'),
                            head=dict(type='LinearClsHead', num_classes=10, in_channels=64,
                                      init_cfg=None))
    classifier = model.head.fc.weight.detach().clone()
    model.init_weights()  # as the Runner does
    assert torch.equal(model.head.fc.weight, classifier)  # PyTorch's, left alone
    scaled = []
    for name, module in model.backbone.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            assert module.bias is None
            fan_in = module.in_channels * 9
            scaled.append(module.weight.detach().flatten() * (fan_in / 2)**0.5)
            deviation = scaled[-1].std().item()
            n = scaled[-1].numel()
            assert abs(deviation - 1) < 5 / np.sqrt(2 * n), name
        elif isinstance(module, torch.nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all()
    values = torch.cat(scaled)
    assert len(scaled) == 31
    assert (values**4).mean().item() == pytest.approx(3, abs=0.1)  # kurtosis of a normal
    assert values.abs().max() > 4  # not truncated, not uniform


def test_without_init_cfg_weights_are_pytorchs():
    torch.manual_seed(0)
    model = ResNetCIFAR(20, init_cfg=None)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize('depth', [18, 50, 33])
def test_bad_depth(depth):
    with pytest.raises(ValueError, match=r'depth must be one of 20, 32, 44, 56, got'):
        ResNetCIFAR(depth)
    with pytest.raises(TypeError, match='depth must be an integer, got'):
        ResNetCIFAR(str(depth))


def test_other_channels_norm_and_misspelt_options():
    model = ResNetCIFAR(20, in_channels=1, norm_cfg=dict(type='GN', num_groups=4))
    assert model(torch.rand(2, 1, 32, 32))[0].shape == (2, 64, 8, 8)
    with pytest.raises(TypeError, match='Did you mean `in_channels`'):
        MODELS.build(dict(type='ResNetCIFAR', depth=20, in_channel=1))
