"""The inference model of a training, made of stock mmpretrain components."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...models.classifiers.probe import image_shapes
from ...models.heads import trained_prior_of
from ...utils.options import init_parameters
from ...utils.prior import Prior, read_prior
from ...version import __version__
from .stock_config import stock_config


@dataclass
class InferenceModel:
    """A classifier without what training alone needs.

    Attributes:
        model: in evaluation mode, on the CPU.
        config: content of a config file for it, see :func:`~.stock_config.stock_config`.
        meta: plain data of the training: ``dataset_meta`` (``classes`` and ``class_counts``),
            ``epoch``, ``iter``, and ``logits_prior`` where it is known: the class prior that the
            logits stand for.
        remarks: what is not as in the training's config, a sentence each.
    """

    model: Any
    config: dict
    meta: dict[str, Any]
    remarks: list[str]

    @property
    def counts(self) -> list[int] | None:
        """What an epoch of the training delivered of each class."""
        counts = self.meta['dataset_meta'].get('class_counts')
        return counts and counts['samples']

    def trained_prior(self, given: Prior | None = None) -> np.ndarray:
        """The class prior that the logits stand for, ``[C]``.

        Raises:
            ValueError: if it is not given and not known.
        """
        given = given or self.meta.get('logits_prior') or trained_prior_of(None)
        return read_prior(given, self.model.head.num_classes, self.counts, 'trained_prior')

    def adjust(self, test_prior: Prior, trained_prior: Prior | None = None) -> None:
        """Folds log test prior - log trained prior into the bias of the last layer."""
        test_C = read_prior(test_prior, self.model.head.num_classes, self.counts, 'test_prior')
        shift_C = np.log(test_C) - np.log(self.trained_prior(trained_prior))
        _fold(self.model, 1.0, torch.from_numpy(shift_C).float())
        self.meta['logits_prior'] = test_C.tolist()

    def divide(self, temperature: float) -> None:
        """Folds the division of the logits by a temperature into the last layer."""
        _fold(self.model, 1 / temperature, torch.zeros(self.model.head.num_classes))
        self.meta['temperature'] = temperature * self.meta.get('temperature', 1.0)

    def save(self, file: Path) -> None:
        """Writes the checkpoint, and the config beside it."""
        file.parent.mkdir(parents=True, exist_ok=True)
        state = {name: value.contiguous().clone()
                 for name, value in self.model.state_dict().items()}
        torch.save(dict(meta=self.meta, state_dict=state), file)
        # the only name in braces that mmengine is to fill in: the pair may be moved, and its folder
        # may have a quote in its name
        weights = 'r"""{{ fileDirname }}/{{ fileBasenameNoExtension }}.pth"""'
        text = Config(self.config).pretty_text.replace('{{', r'{\x7b')
        remarks = ''.join(f'# {remark}\n' for remark in self.remarks)
        file.with_suffix('.py').write_text(
            f'# Inference with {file.name}, written by rescom_mm {__version__}\n{remarks}'
            f'{text}load_from = {weights}\n', encoding='utf-8')


def inference_model(cfg: Config, checkpoint: str | Path) -> InferenceModel:
    """Builds the inference model of a training, with the weights of a checkpoint.

    Weights are those that the training validated: under ``EMAHook`` the averaged ones, which is
    what its checkpoints have as ``state_dict``. A ``PriorAdjustedHead`` is folded into the head.

    Args:
        cfg: the training's config, or one that :meth:`InferenceModel.save` wrote.
        checkpoint: file.

    Raises:
        ValueError: if the checkpoint is not one of the config.
    """
    loaded = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu', logger='silent')
    state = loaded.get('state_dict', loaded)
    config, remarks = stock_config(cfg)
    _fill_width(config['model']['head'], state)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(deepcopy(dict(config['model'],
                                           data_preprocessor=config['data_preprocessor'])))
    _load(model, state, checkpoint)
    if 'ema_state_dict' in loaded:
        remarks.append('EMAHook: the averaged weights, which the training validated')
    found = InferenceModel(model.eval(), config, _meta(loaded.get('meta') or {}), remarks)
    head = cfg.model.head
    if 'logits_prior' not in found.meta:
        _note_prior(found, head)
    if head.get('test_prior') is not None:
        found.adjust(head['test_prior'], head.get('trained_prior'))
        remarks.append('PriorAdjustedHead: folded into the bias of the last layer')
    return found


def _note_prior(found: InferenceModel, head: dict) -> None:
    loss = (head.get('loss') or {}).get('type')
    try:
        prior = trained_prior_of(MODELS.get(loss) if isinstance(loss, str) else loss)
    except ValueError:
        return
    found.meta['logits_prior'] = found.trained_prior(prior).tolist()


def _fill_width(head: dict, state: dict[str, Tensor]) -> None:
    """Gives the head's config the width that a training reads off the backbone."""
    cls = MODELS.get(head['type']) if isinstance(head['type'], str) else head['type']
    if head.get('in_channels') is None and 'in_channels' in init_parameters(cls):
        first = next((value for name, value in state.items()
                      if name.startswith('head.') and value.ndim == 2), None)
        if first is not None:
            head['in_channels'] = first.shape[1]


def _load(model: nn.Module, state: dict[str, Tensor], checkpoint: Any) -> None:
    wanted = model.state_dict()
    missing = sorted(wanted.keys() - state.keys())
    if missing:
        raise ValueError(f"{checkpoint} is not of this config's model: it has no "
                         f'{", ".join(missing[:3])} ({len(missing)} missing); give the config that '
                         'it was trained with')
    for name, value in wanted.items():
        if value.shape != state[name].shape:
            raise ValueError(f"{checkpoint} is not of this config's model: {name} is "
                             f'{list(state[name].shape)} in it, {list(value.shape)} in the model; '
                             'give the config that it was trained with')
    # not strictly: SwinTransformerV2 computes some of its buffers anew, and takes none for them
    model.load_state_dict({name: state[name] for name in wanted}, strict=False)


def _meta(meta: dict) -> dict[str, Any]:
    """Plain data of a checkpoint's meta; nothing else gets into a file for other machines."""
    dataset = meta.get('dataset_meta') or {}
    kept: dict[str, Any] = {}
    if dataset.get('classes'):
        kept['classes'] = [str(name) for name in dataset['classes']]
    if dataset.get('class_counts'):
        kept['class_counts'] = {name: [int(n) for n in counts]
                                for name, counts in dataset['class_counts'].items()}
    found: dict[str, Any] = dict(dataset_meta=kept, rescom_mm_version=__version__)
    for name in ('epoch', 'iter'):
        if name in meta:
            found[name] = int(meta[name])
    if 'temperature' in meta:
        found['temperature'] = float(meta['temperature'])
    if 'logits_prior' in meta:
        found['logits_prior'] = [float(p) for p in meta['logits_prior']]
    return found


@torch.no_grad()
def _fold(model: Any, factor: float, shift_C: Tensor) -> None:
    """Makes a model give ``factor * logits + shift``, by its last linear layers.

    Raises:
        ValueError: if it does not give that then; the model is as before.
    """
    layers = [module for module in model.head.modules()
              if isinstance(module, nn.Linear) and module.out_features == len(shift_C)
              and module.bias is not None]
    feats = _features(model)
    before_NC = model.head(feats)
    saved = [(layer.weight.clone(), layer.bias.clone()) for layer in layers]
    for layer in layers:
        layer.weight.mul_(factor)
        layer.bias.mul_(factor).add_(shift_C)
    if isinstance(before_NC, Tensor):
        wanted_NC = factor * before_NC + shift_C
        if torch.allclose(model.head(feats), wanted_NC, rtol=1e-4,
                          atol=1e-4 * float(wanted_NC.abs().max())):
            return
    for layer, (weight, bias) in zip(layers, saved):
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    raise ValueError(f'the logits of {type(model.head).__name__} are not those of linear layers '
                     'with a bias, so that a prior or a temperature cannot be folded into it; for '
                     "a prior use model.head.type='PriorAdjustedHead'")


def _features(model: Any) -> Any:
    """Features of four random images, of a size that the backbone takes."""
    generator = torch.Generator().manual_seed(0)
    for shape in image_shapes(model.backbone):
        try:
            return model.extract_feat(torch.randn(4, *shape, generator=generator))
        except (RuntimeError, ValueError, AssertionError) as error:
            reason = error
    raise ValueError(f'{type(model.backbone).__name__} takes no image of {shape} values: {reason}')
