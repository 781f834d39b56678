from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.runner import Runner


def build_loader(loader: dict) -> Any:
    """A data loader of a config."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return Runner.build_dataloader(ConfigDict(loader, persistent_workers=False), seed=0)


@torch.no_grad()
def predict_logits(model: Any, loader: Any) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a data loader's images, and their labels.

    Args:
        model: an ``ImageClassifier`` in evaluation mode; it is moved to the accelerator, if any.
        loader: as of ``test_dataloader``.

    Returns:
        float32 ``[N, C]``, and int64 ``[N]``.
    """
    model = model.to(get_device())
    logits, labels = [], []
    for batch in loader:
        data = model.data_preprocessor(batch, False)
        logits.append(model(data['inputs'], mode='tensor').float().cpu())
        labels.append(torch.cat([sample.gt_label for sample in data['data_samples']]).cpu())
    return torch.cat(logits).numpy(), torch.cat(labels).numpy()
