"""Memory: state in a checkpoint, and what a step of the contrastive branch needs at its peak.

The checkpoint's part is all that a config's model stores beyond backbone, neck, head and projector;
beside it what the released code stores: the queue, and its index table ``[C, (C - 1) K]`` of int64.
The peak is what a step allocates beyond what was there before it.
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from branch import SHAPES, Branch
from measure import parser, save, start
from mmpretrain.registry import MODELS
from torch.profiler import ProfilerActivity, profile
from workload import read_config

CONFIGS = ['rescom_r32_cifar100-lt-if100', 'rescom_r50_imagenet-lt', 'rescom_r50_inat18']
NETWORK = ('backbone.', 'neck.', 'head.', 'projector.')


def state(config: str) -> dict[str, Any]:
    """Bytes that a model has in a checkpoint beyond its network."""
    cfg = read_config(config, {})
    model: Any = MODELS.build(cfg.model)
    stored = sum(value.numel() * value.element_size()
                 for key, value in model.state_dict().items() if not key.startswith(NETWORK))
    classes, keys = model.queue.num_classes, model.queue.keys_per_class
    of_keys = 4 * len(model.queue) * model.queue.feat_dim
    return dict(config=config, classes=classes, keys=keys, dim=model.queue.feat_dim, bytes=stored,
                queue_bytes=of_keys, beyond_queue=stored - of_keys,
                released_bytes=of_keys + released_table(classes, keys))


def released_table(classes: int, keys: int) -> int:
    """Bytes of the released code's index of other classes' slots."""
    return 8 * classes * (classes - 1) * keys


def peak(step: Callable[[], Any], device: torch.device) -> int:
    """Bytes that a step needs at its peak, beyond what is there before it."""
    step()  # what stays, such as gradients, is there from now on
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / 'trace.json'
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())['traceEvents']
    used = most = 0
    for event in sorted((event for event in events if event['name'] == '[memory]'),
                        key=lambda event: event['ts']):
        used += event['args']['Bytes']
        most = max(most, used)
    return most


def main(argv: Sequence[str] | None = None) -> None:
    """Measures configs and shapes."""
    args = parser(__doc__ or '', 'memory').parse_args(argv)
    device = start(args)
    states = [state(config) for config in CONFIGS]
    for row in states:
        print('{config}: {bytes:,} bytes beside the network, {queue_bytes:,} of them keys; the '
              'released code {released_bytes:,}'.format(**row), flush=True)
    rows = []
    for shape in SHAPES:
        branch = Branch(shape, device)
        steps: dict[str, Callable[[], Any]] = dict(
            ours=branch.ours, floor=branch.floor, released=branch.released())
        rows.append(dict(shape=shape._asdict(),
                         bytes={name: peak(step, device) for name, step in steps.items()}))
        print(f'{shape}: ' + ', '.join(f'{name} {number / 2**20:.2f} MiB'
                                       for name, number in rows[-1]['bytes'].items()), flush=True)
    save(args, rows, states=states)


if __name__ == '__main__':
    main()
