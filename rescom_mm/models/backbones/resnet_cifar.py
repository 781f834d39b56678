from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...utils import check_options

_INIT = dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='relu',
             distribution='normal')


@MODELS.register_module()
@check_options
class ResNetCIFAR(BaseModule):
    """The narrow ResNet for 32x32 images with parameter-free shortcuts, ResNet-32 above all.

    Section 4.2 of `Deep Residual Learning <https://arxiv.org/abs/1512.03385>`_: a 3x3 convolution
    and three stages of ``(depth - 2) / 6`` basic blocks, 16, 32 and 64 channels wide, strides 1, 2
    and 2. Where the shape changes, the shortcut takes every second pixel and pads channels with
    zeros on both sides (option A). This is the network of the long-tailed CIFAR literature;
    mmpretrain's ``ResNet_CIFAR`` is another one, wider and with projection shortcuts.

    Args:
        depth: layers: 20, 32, 44 or 56.
        in_channels: channels of the images.
        norm_cfg: of the normalisation layers.
        init_cfg: how mmengine initialises it; the default is He's normal initialisation by fan-in
            on convolutions, as in the released code of ResCom. None leaves PyTorch's.

    Examples:
        >>> import torch
        >>> from rescom_mm.models import ResNetCIFAR
        >>> backbone = ResNetCIFAR(depth=32)
        >>> [tuple(feats.shape) for feats in backbone(torch.rand(2, 3, 32, 32))]
        [(2, 64, 8, 8)]
    """

    DEPTHS = (20, 32, 44, 56)
    WIDTHS = (16, 32, 64)

    def __init__(self, depth: int, in_channels: int = 3, norm_cfg: dict | None = None,
                 init_cfg: dict | list | None = _INIT) -> None:
        super().__init__(init_cfg)
        if depth not in self.DEPTHS:
            raise ValueError(
                f'ResNetCIFAR: depth must be one of {", ".join(map(str, self.DEPTHS))}, got '
                f"{depth!r}; for 18, 34, 50 ... use mmpretrain's ResNet or ResNet_CIFAR")
        self.depth = depth
        norm_cfg = norm_cfg or dict(type='BN')
        self.conv1 = _conv3x3(in_channels, self.WIDTHS[0], 1)
        self.norm1 = build_norm_layer(norm_cfg, self.WIDTHS[0])[1]
        width, stages = self.WIDTHS[0], []
        for stage, out_width in enumerate(self.WIDTHS):
            blocks = []
            for block in range((depth - 2) // 6):
                stride = 2 if stage and not block else 1
                blocks.append(_BasicBlock(width, out_width, stride, norm_cfg))
                width = out_width
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3 = stages

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Computes the features of the last stage.

        Args:
            x: ``[N, in_channels, H, W]`` images.

        Returns:
            A tuple of one tensor ``[N, 64, ceil(H / 4), ceil(W / 4)]``, as mmpretrain's backbones.
        """
        x = F.relu(self.norm1(self.conv1(x)))
        return (self.layer3(self.layer2(self.layer1(x))),)


class _BasicBlock(nn.Module):

    def __init__(self, in_width: int, out_width: int, stride: int, norm_cfg: Any) -> None:
        super().__init__()
        self.conv1 = _conv3x3(in_width, out_width, stride)
        self.norm1 = build_norm_layer(norm_cfg, out_width)[1]
        self.conv2 = _conv3x3(out_width, out_width, 1)
        self.norm2 = build_norm_layer(norm_cfg, out_width)[1]
        self.stride = stride
        self.padding = (out_width - in_width) // 2  # zero channels on each side

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.stride != 1:
            x = x[:, :, ::self.stride, ::self.stride]
        if self.padding:
            x = F.pad(x, (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(out + x)


def _conv3x3(in_width: int, out_width: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_width, out_width, 3, stride, padding=1, bias=False)
