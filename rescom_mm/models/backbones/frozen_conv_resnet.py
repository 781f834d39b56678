from __future__ import annotations

from typing import Any

from mmpretrain.models import ResNet
from mmpretrain.registry import MODELS
from torch import nn

from ...utils import check_options


@MODELS.register_module()
@check_options
class FrozenConvResNet(ResNet):
    """mmpretrain's ``ResNet`` with fixed convolutions, except in its last blocks.

    How Places-LT is fine-tuned from ImageNet's weights in the long-tailed literature (PaCo, which
    ResCom follows): normalisation layers keep learning their scales and offsets, and their
    statistics go on. ``ResNet``'s own ``frozen_stages`` fixes these too.

    What is fixed has ``requires_grad=False`` from the start, as distributed training needs it.
    Keys of the checkpoint are those of ``ResNet`` and of torchvision's.

    Args:
        depth: layers: 18, 34, 50, 101 or 152.
        trainable_blocks: how many residual blocks at the end of the last stage have convolutions
            that learn; 0 fixes all.
        **kwargs: options of ``ResNet``.

    Raises:
        ValueError: if the last stage has fewer blocks.

    Examples:
        >>> from rescom_mm.models import FrozenConvResNet
        >>> backbone = FrozenConvResNet(depth=50)
        >>> sorted(name for name, p in backbone.named_parameters()
        ...        if p.requires_grad and 'conv' in name)
        ['layer4.2.conv1.weight', 'layer4.2.conv2.weight', 'layer4.2.conv3.weight']
        >>> backbone.bn1.weight.requires_grad
        True
    """

    def __init__(self, depth: int, trainable_blocks: int = 1, **kwargs: Any) -> None:
        super().__init__(depth, **kwargs)
        blocks = list(getattr(self, self.res_layers[-1]))
        if not 0 <= trainable_blocks <= len(blocks):
            raise ValueError(f'FrozenConvResNet: trainable_blocks must lie in 0 ... {len(blocks)}, '
                             f'the blocks of the last stage, got {trainable_blocks!r}')
        learning = {module for block in blocks[len(blocks) - trainable_blocks:]
                    for module in block.modules()}
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module not in learning:
                module.requires_grad_(False)
