"""Whole checkpoints, compared bit for bit."""

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from tests.runs import load

# wall-clock times, names and paths, and the config, which says resume=True
UNLIKE = {
    'meta.time', 'meta.experiment_name', 'meta.cfg',
    # with the commit of the folder that the run was started in
    'meta.mmengine_version', 'message_hub.runtime_info.mmengine_version',
    'message_hub.runtime_info.cfg', 'message_hub.runtime_info.experiment_name',
    'message_hub.runtime_info.eta', 'message_hub.runtime_info.last_ckpt',
    'message_hub.runtime_info.best_ckpt', 'message_hub.runtime_info.rescom_results/elapsed',
    *(f'message_hub.log_scalars.{mode}/{name}' for mode in ('train', 'val')
      for name in ('time', 'data_time'))}


def leaves(value, key=''):
    """All values in nested containers, by dotted key."""
    if isinstance(value, HistoryBuffer):
        value = dict(log=value._log_history, counts=value._count_history)
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value), length=len(value))
    if not isinstance(value, dict):
        return {key: value}
    found = {}
    for name, inner in value.items():
        path = f'{key}.{name}' if key else str(name)
        if path not in UNLIKE:
            found.update(leaves(inner, path))
    return found


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(
            a.contiguous().reshape(-1).view(torch.uint8),
            b.contiguous().reshape(-1).view(torch.uint8))
    if isinstance(a, (np.ndarray, np.generic)):
        return a.tobytes() == b.tobytes() and a.dtype == b.dtype
    return type(a) is type(b) and (a == b or a != a)


def differences(file, other):
    """Keys of what differs between two checkpoint files, at tolerance 0."""
    a, b = leaves(load(file)), leaves(load(other))
    return sorted((a.keys() ^ b.keys()) | {key for key in a.keys() & b.keys()
                                           if not same(a[key], b[key])})
