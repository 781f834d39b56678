"""Reads a model's widths off one cheap forward pass, when it is built."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.logging import print_log
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...utils.options import init_parameters


def fill_widths(part: str, config: Any, backbone: nn.Module, neck: nn.Module | None,
                head: nn.Module | None = None) -> Any:
    """The config of a head or projector with the widths that it lacks.

    ``in_channels`` is the number of features that the part gets, and ``hid_channels`` is
    ``in_channels``, where the class takes them and the config has none, or None. Nothing of the
    modules changes, and no random number is drawn.

    Args:
        part: ``'head'`` or ``'projector'``, for messages.
        config: of the part; what is no config, or lacks no width, is returned as it is.
        backbone: the built backbone.
        neck: the built neck, if any.
        head: for a projector, which gets this head's pre-logits; a head gets the neck's features.

    Raises:
        ValueError: if the backbone can't run here, or gives no vector an image.
    """
    lacking = _lacking(config)
    if not lacking:
        return config
    width = config.get('in_channels')
    if width is None:
        with _untouched(backbone, neck, head):
            feats, reason = _features(backbone, neck)
            if feats is None:
                raise ValueError(f'model.{part}.in_channels is not set, and could not be read off '
                                 f'a blank image ({reason}); set it if this is right')
            given = _last(feats) if head is None else _pre_logits(backbone, neck, head, feats)
        width = _vector(given, backbone, neck, head).shape[1]
    return {**config, **dict.fromkeys(lacking, width)}


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
    with _untouched(model):
        feats, reason = _features(model.backbone, model.neck)
        if feats is not None:
            return _project(model, feats)
    print_log(f'the widths of {type(model.backbone).__name__} could not be read off a blank image '
              f'({reason}); model.queue.feat_dim must be given', logger='current')
    return None


def image_shapes(backbone: nn.Module) -> list[tuple[int, int, int]]:
    """``(channels, height, width)`` of images to try a built backbone with, the smallest first.

    Transformers with fixed positions have one size, which they know.
    """
    size = getattr(backbone, 'img_size', None)
    sizes = [(64, 64), (224, 224), (299, 299)] if size is None else [
        (size, size) if isinstance(size, int) else (size[0], size[1])]
    convolutions = (m for m in backbone.modules() if isinstance(m, nn.Conv2d))
    channels = next((conv.in_channels for conv in convolutions), 3)
    return [(channels, *size) for size in sizes]


def _lacking(config: Any) -> list[str]:
    """Those of the widths that the class of a config takes and the config does not have."""
    if not isinstance(config, dict) or 'type' not in config:
        return []
    kind = config.get('of', config['type'])  # PriorAdjustedHead is of another type
    cls = kind if isinstance(kind, type) else MODELS.get(kind)
    accepted = init_parameters(cls) if isinstance(cls, type) else {}
    return [name for name in ('in_channels', 'hid_channels')
            if name in accepted and config.get(name) is None]


@contextlib.contextmanager
def _untouched(*parts: nn.Module | None) -> Iterator[None]:
    """Evaluation mode without gradients, and all as before afterwards."""
    built = [part for part in parts if part is not None]
    modes = {module: module.training for part in built for module in part.modules()}
    for part in built:
        part.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        for part in built:
            part.train(modes[part])  # some (LeViT's) keep more than the mode
        for module, training in modes.items():
            module.training = training


def _features(backbone: nn.Module, neck: nn.Module | None) -> tuple[Any, str]:
    """Features of a blank image of the smallest size that the backbone takes; or None, and why."""
    reason = ''
    for shape in image_shapes(backbone):
        name = type(backbone).__name__
        try:
            feats = backbone(torch.zeros(1, *shape))
            if neck is not None:
                vector = getattr(_last(feats), 'ndim', 0) == 2
                name = (f'neck {type(neck).__name__} after {name}, which gives {_shapes(feats)}'
                        + vector * ', a vector an image already: set model.neck=None')
                feats = neck(feats)
            return feats, ''
        except (RuntimeError, NotImplementedError, ValueError, AssertionError) as error:
            reason = f'{name}: {error}'
    return None, reason


def _project(model: Any, feats: Any) -> int:
    head = model.head
    pre_logits = _vector(_pre_logits(model.backbone, model.neck, head, feats), model.backbone,
                         model.neck, head)
    try:
        head(feats)
    except RuntimeError as error:
        raise _head_mismatch(model.backbone, head, pre_logits.shape[1], error) from error
    name = type(model.projector).__name__
    try:
        z_ND = model.projector((pre_logits,))
    except RuntimeError as error:
        raise ValueError(f'model.projector {name} cannot take the {pre_logits.shape[1]} values a '
                         f'row of the pre-logits ({error}); set model.projector.in_channels='
                         f'{pre_logits.shape[1]}, or leave it out') from error
    if isinstance(z_ND, (tuple, list)):
        z_ND = z_ND[-1]
    if z_ND.ndim != 2:
        raise ValueError(f'model.projector {name} gives shape {list(z_ND.shape)}, needed is '
                         '[N, D]; NonLinearNeck wants with_avg_pool=False')
    return z_ND.shape[1]


def _pre_logits(backbone: nn.Module, neck: nn.Module | None, head: Any, feats: Any) -> Any:
    if not hasattr(head, 'pre_logits'):
        raise ValueError(f'model.head {type(head).__name__} has no pre_logits(), which the '
                         'projector gets; use a linear or MLP classification head')
    try:
        return head.pre_logits(feats)
    except RuntimeError as error:  # a head with a hidden layer
        width = _vector(_last(feats), backbone, neck, head).shape[1]
        raise _head_mismatch(backbone, head, width, error) from error


def _head_mismatch(backbone: Any, head: Any, width: int, error: Exception) -> ValueError:
    return ValueError(f'model.head {type(head).__name__} cannot take the features of '
                      f'{type(backbone).__name__} ({error}); set model.head.in_channels={width}, '
                      'or leave it out')


def _last(feats: Any) -> Any:
    """What a head takes of the features: the last stage's, its last token where it has several."""
    for _ in range(2):
        feats = feats[-1] if isinstance(feats, (tuple, list)) else feats
    return feats


def _vector(given: Any, backbone: Any, neck: Any, head: Any) -> Tensor:
    """What head or projector get, if it is one vector an image."""
    if isinstance(given, Tensor) and given.ndim == 2:
        return given
    need, of_head = 'the head needs features', ''
    if head is not None:
        need, of_head = 'the projector needs pre-logits', f' and head {type(head).__name__}'
    raise ValueError(
        f'{need} of shape [N, F], but {type(backbone).__name__} with neck {type(neck).__name__}'
        f'{of_head} gives {_shapes(given)}; a neck such as '
        "dict(type='GlobalAveragePooling') makes one vector an image")


def _shapes(feats: Any) -> Any:
    if isinstance(feats, (tuple, list)):
        return [_shapes(one) for one in feats]
    return list(feats.shape) if isinstance(feats, Tensor) else type(feats)
