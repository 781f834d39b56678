"""FrozenConvResNet: what learns, what stays, and that it is mmpretrain's ResNet otherwise."""

import pytest
import torch
from mmpretrain.models import ResNet
from mmpretrain.registry import MODELS
from torch import nn

from rescom_mm.models import FrozenConvResNet


@pytest.mark.parametrize('trainable_blocks, learning', [
    (0, ()), (1, ('layer4.1.', )), (2, ('layer4.0.', 'layer4.1.'))])
def test_exactly_the_other_convolutions_stay(trainable_blocks, learning):
    torch.manual_seed(0)
    model = FrozenConvResNet(18, trainable_blocks, zero_init_residual=False)
    model.train()
    model.init_weights()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(2):
        model(torch.rand(4, 3, 32, 32))[0].square().sum().backward()
        optimizer.step()
    frozen = {f'{name}.weight' for name, module in model.named_modules()
              if isinstance(module, nn.Conv2d) and not name.startswith(learning or 'none')}
    assert len(frozen) == 20 - {0: 0, 1: 2, 2: 5}[trainable_blocks]
    # statistics of the normalisation change as well: train() puts no layer into evaluation mode
    assert frozen == {name for name, value in model.state_dict().items()
                      if torch.equal(value, before[name])}
    assert frozen == {name for name, p in model.named_parameters() if p.grad is None}


def test_is_a_resnet_otherwise():
    model, stock = FrozenConvResNet(18), ResNet(18)
    for backbone in (model, stock):
        backbone.eval()
    stock.load_state_dict(model.state_dict(), strict=True)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(model(images)[0], stock(images)[0])


def test_bad_options():
    for blocks in (-1, 4):
        with pytest.raises(ValueError, match=rf'trainable_blocks must lie in 0 \.\.\. 3.*{blocks}'):
            FrozenConvResNet(50, trainable_blocks=blocks)
    with pytest.raises(TypeError, match='Did you mean `trainable_blocks`'):
        MODELS.build(dict(type='FrozenConvResNet', depth=50, trainable_block=1))
    with pytest.raises(TypeError, match='Did you mean `frozen_stages`'):
        MODELS.build(dict(type='FrozenConvResNet', depth=50, frozen_stage=1))
