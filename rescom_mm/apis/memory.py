"""What a training keeps in memory, and what to say when a device has too little."""

from __future__ import annotations

from collections.abc import Iterable

from mmengine.runner import Runner
from torch import Tensor, nn

from ..utils import unwrapped_model


def known_sizes(model: nn.Module, images: int) -> list[str]:
    """Sizes of what this package adds to a training, in bytes, each with its name.

    Of similarities ``SPMLoss`` holds up to six copies at once, two where it mines both kinds of
    keys from a class-balanced queue, and keeps none for the backward pass (measured).

    Args:
        model: the classifier.
        images: that a step of one process has.
    """
    parts = [f'weights {_size(model.parameters())} (as much again for their gradients, and for '
             'each buffer of the optimiser)']
    queue = getattr(model, 'queue', None)
    rows = step_rows(model, images)
    if rows > images:
        slots = 0 if queue is None else len(queue)
        parts.append(f'similarities {_bytes(4 * rows * (rows + slots))} a copy (at most '
                     f'[{rows}, {rows + slots}] float32, up to 6 copies at once)')
    if queue is not None:
        parts += [f'queue {_size(queue.buffers())} ({len(queue)} keys of {queue.feat_dim} values)',
                  f'keys of a step {_bytes(4 * rows * queue.feat_dim)}']
    return parts


def step_rows(model: nn.Module, images: int) -> int:
    """Rows of a step: two views of each image where there is a contrastive loss."""
    return 2 * images if getattr(model, 'contrastive_loss', None) is not None else images


def explain_memory(runner: Runner) -> str:
    """:func:`known_sizes` of a training, and the settings that shrink a step, in one line."""
    model = unwrapped_model(runner)
    images = runner.train_dataloader.batch_size or 0
    shrink = ['train_dataloader.batch_size', 'the crop size in train_dataloader.dataset.pipeline',
              '--amp', 'activation_checkpointing=[names of modules] or model.backbone.with_cp=True']
    if getattr(model, 'queue', None) is not None:
        shrink.append('model.queue.keys_per_class (or size)')
    if getattr(getattr(model, 'contrastive_loss', None), 'num_negatives', None):
        shrink.append('model.contrastive_loss.num_negatives')
    return (f'the device has no memory left at {images} images ({step_rows(model, images)} rows) a '
            f'step. Known sizes: {"; ".join(known_sizes(model, images))}; the rest is activations. '
            f'Settings that shrink it: {", ".join(shrink)}')


def _size(tensors: Iterable[Tensor]) -> str:
    return _bytes(sum(tensor.numel() * tensor.element_size() for tensor in tensors))


def _bytes(number: int) -> str:
    return f'{number} bytes ({number / 2**20:.1f} MiB)'
