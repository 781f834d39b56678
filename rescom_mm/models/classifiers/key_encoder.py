"""The momentum encoder of MoCo: a moving average of the parts that make projections."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseAveragedModel
from mmpretrain.registry import MODELS
from torch import Tensor, nn


def project(head: Any, projector: Any, feats: Any) -> Tensor:
    """L2-normalised float32 projections ``[N, D]`` of the neck's features."""
    z_ND = projector((head.pre_logits(feats),))
    if isinstance(z_ND, (tuple, list)):
        z_ND = z_ND[-1]
    with torch.autocast(z_ND.device.type, enabled=False):
        return F.normalize(z_ND.float(), dim=1, eps=1e-6)


class ProjectionEncoder(nn.Module):
    """A classifier's own parts that lead from images to projections, in one module.

    Args:
        model: a ``SiameseClassifier`` with a projector; its parts are referred to, not copied.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.neck = model.neck
        self.head = model.head  # its pre_logits may have weights
        self.projector = model.projector

    def forward(self, inputs: Tensor) -> Tensor:
        """``[N, D]`` L2-normalised float32 projections of ``[N, 3, H, W]`` images."""
        feats = self.backbone(inputs)
        if self.neck is not None:
            feats = self.neck(feats)
        return project(self.head, self.projector, feats)


def build_key_encoder(model: Any, config: Any) -> BaseAveragedModel:
    """Builds the moving average of a classifier's :class:`ProjectionEncoder`.

    Args:
        model: a ``SiameseClassifier`` with a projector.
        config: of one of mmengine's averaged models, without ``model``.

    Raises:
        ValueError: where the config names something else, or an option that can't work here.
    """
    if not isinstance(config, dict) or 'type' not in config:
        raise ValueError(f'model.key_encoder must be a config such as {_EXAMPLE}, got {config!r}')
    if config.get('update_buffers'):
        raise ValueError(
            'model.key_encoder.update_buffers=True: mmengine would go on averaging the buffers '
            'where they were before the model moved to its device; remove it, and the buffers '
            "are the encoder's own")
    encoder = MODELS.build(dict(config), default_args=dict(model=ProjectionEncoder(model)))
    if not isinstance(encoder, BaseAveragedModel):
        raise ValueError(f'model.key_encoder.type={config["type"]!r} is no moving average of '
                         f"mmengine's; use {_EXAMPLE}")
    return encoder


_EXAMPLE = "dict(type='ExponentialMovingAverage', momentum=0.001)"
