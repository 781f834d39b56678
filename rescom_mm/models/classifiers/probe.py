"""Reads a model's widths off one cheap forward pass, when it is built."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn


def probe_shapes(model: Any) -> int | None:
    """The projector's output width, found by passing one blank image through the model.

    Nothing of the model changes: evaluation mode, no gradient, no random draw.

    Args:
        model: a ``SiameseClassifier`` with backbone, neck, head and projector.

    Returns:
        D, or None where the backbone can't run here (custom device code, say).

    Raises:
        ValueError: if the head's pre-logits are no ``[N, F]`` tensor, head or projector can't take
            what they get, or the projector's output is no ``[N, D]`` tensor.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            feats = _features(model)
            return None if feats is None else _project(model, feats)
    finally:
        for module, training in modes.items():
            module.training = training


def _features(model: Any) -> Any:
    """Features of a blank image of the smallest size that the backbone takes."""
    reason: Exception | None = None
    for size in _image_sizes(model.backbone):
        try:
            return model.extract_feat(torch.zeros(1, _in_channels(model.backbone), *size))
        except (RuntimeError, NotImplementedError, ValueError, AssertionError) as error:
            reason = error
    print_log(f'the widths of {type(model.backbone).__name__} could not be read off a blank image '
              f'({reason}); model.queue.feat_dim must be given', logger='current')
    return None


def _project(model: Any, feats: Any) -> int:
    if not hasattr(model.head, 'pre_logits'):
        raise ValueError(f'model.head {type(model.head).__name__} has no pre_logits(), which the '
                         'projector gets; use a linear or MLP classification head')
    pre_logits = model.head.pre_logits(feats)
    if not isinstance(pre_logits, Tensor) or pre_logits.ndim != 2:
        got = list(pre_logits.shape) if isinstance(pre_logits, Tensor) else type(pre_logits)
        raise ValueError(
            f'the projector needs pre-logits of shape [N, F], but {type(model.backbone).__name__} '
            f'with neck {type(model.neck).__name__} and head {type(model.head).__name__} gives '
            f"{got}; a neck such as dict(type='GlobalAveragePooling') makes one vector an image")
    try:
        model.head(feats)
    except RuntimeError as error:
        raise ValueError(f'model.head {type(model.head).__name__} cannot take the features of '
                         f'{type(model.backbone).__name__} ({error}); set model.head.in_channels='
                         f'{pre_logits.shape[1]}') from error
    name = type(model.projector).__name__
    try:
        z_ND = model.projector((pre_logits,))
    except RuntimeError as error:
        raise ValueError(f'model.projector {name} cannot take the {pre_logits.shape[1]} values a '
                         f'row of the pre-logits ({error}); set model.projector.in_channels='
                         f'{pre_logits.shape[1]}') from error
    if isinstance(z_ND, (tuple, list)):
        z_ND = z_ND[-1]
    if z_ND.ndim != 2:
        raise ValueError(f'model.projector {name} gives shape {list(z_ND.shape)}, needed is '
                         '[N, D]; NonLinearNeck wants with_avg_pool=False')
    return z_ND.shape[1]


def _image_sizes(backbone: nn.Module) -> list[tuple[int, int]]:
    size = getattr(backbone, 'img_size', None)  # transformers with fixed positions have one
    if size is None:
        return [(64, 64), (224, 224), (299, 299)]
    return [(size, size) if isinstance(size, int) else (size[0], size[1])]


def _in_channels(backbone: nn.Module) -> int:
    convolutions = (m for m in backbone.modules() if isinstance(m, nn.Conv2d))
    return next((conv.in_channels for conv in convolutions), 3)
