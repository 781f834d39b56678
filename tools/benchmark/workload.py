"""Models of this package's configs, and random two-view batches, for the benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from measure import ROOT
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

#: what leaves SiamBS alone of a config of ResCom
SIAMBS: dict[str, Any] = {'model.projector': None, 'model.queue': None,
                          'model.contrastive_loss': None}


@MODELS.register_module()
class NoContrast(nn.Module):
    """In the place of a contrastive loss: makes projections and their gradient, nothing else."""

    def forward(self, z_MD: Tensor, labels_M: Tensor, queue: None) -> Tensor:
        """A scalar whose gradient is the same for all projections."""
        return z_MD.sum() * 1e-3


#: SiamBS, and a projector that serves nothing
PROJECTOR: dict[str, Any] = {'model.queue': None,
                             'model.contrastive_loss': dict(type='NoContrast', _delete_=True)}


def read_config(name: str, options: dict[str, Any]) -> Config:
    """A config of ``configs/rescom`` with class counts, which no data set gives here.

    Args:
        name: of the config.
        options: overrides, dotted keys.
    """
    init_default_scope('mmpretrain')
    MMLogger.get_current_instance().setLevel('WARNING')  # it tells of every weight initialised
    cfg = Config.fromfile(ROOT / 'configs' / 'rescom' / f'{name}.py')
    classes = cfg.model.head.num_classes
    counts = [max(5, round(1280 * (k + 1) ** -0.8)) for k in range(classes)]
    cfg.merge_from_dict({'model.head.loss.class_counts': counts,
                         'model.contrastive_loss.class_counts': counts,
                         'model.data_preprocessor': cfg.get('data_preprocessor')})
    cfg.merge_from_dict(options)
    return cfg


def two_views(images: int, px: int, classes: int) -> dict[str, Any]:
    """What a data loader gives: two random uint8 views, and labels."""
    generator = torch.Generator().manual_seed(0)
    views = [torch.randint(256, (images, 3, px, px), dtype=torch.uint8, generator=generator)
             for _ in range(2)]
    labels = torch.randint(classes, (images,), generator=generator)
    return dict(inputs=views, data_samples=[DataSample().set_gt_label(int(k)) for k in labels])


def fill(queue: Any) -> None:
    """Fills a class-balanced queue with random unit keys."""
    generator = torch.Generator().manual_seed(0)
    keys_QD = F.normalize(torch.randn(queue.keys.shape, generator=generator), dim=1)
    queue.write(keys_QD.to(queue.keys), queue.labels)


def training_step(cfg: Config, px: int, images: int,
                  device: torch.device) -> Callable[[], dict[str, Tensor]]:
    """A step as in training: preprocessing, losses, gradients, optimiser, and queue.

    Args:
        cfg: of a ``SiameseClassifier``.
        px: side of the images.
        images: B, of two views each.
        device: where to.
    """
    torch.manual_seed(0)
    model: Any = MODELS.build(cfg.model)
    model.init_weights()
    model = model.to(device).train()
    optim_wrapper: OptimWrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batch = two_views(images, px, cfg.model.head.num_classes)
    if model.queue is not None:
        fill(model.queue)

    def step() -> dict[str, Tensor]:
        losses = model.train_step(batch, optim_wrapper)
        if model.queue is not None:
            model.queue.commit()
        return losses

    return step
