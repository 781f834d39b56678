"""Time of the contrastive branch: similarities, mining, loss, backward, and writing the queue.

Beside it the floor (the bare product of similarities, forward and backward, and one top-k of that
size), the cost structure of the released code, and what waits for the device.
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from measure import alternate, parser, ratio, save, shown, start, summary
from released import ReleasedBranch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rescom_mm.models import ClassBalancedQueue, SPMLoss
from rescom_mm.models.losses.mining import group_size, largest, similarities


class Shape(NamedTuple):
    """C classes, K keys a class, 2B rows of D values, K+ and K- mined, E keys to write."""

    classes: int
    keys: int
    rows: int
    dim: int
    positives: int
    negatives: int
    written: int

    def __str__(self) -> str:
        return (f'C={self.classes} K={self.keys} 2B={self.rows} d={self.dim} '
                f'K+={self.positives} K-={self.negatives} E={self.written}')


SHAPES = [Shape(100, 10, 256, 32, 1, 400, 128), Shape(1000, 4, 64, 128, 1, 500, 256),
          Shape(1000, 8, 64, 128, 2, 500, 256), Shape(8142, 2, 64, 128, 1, 500, 256)]
TEMPERATURE, BETA = 0.2, 0.999


class Branch:
    """One shape with a full queue and random unit vectors."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        self.shape, C = shape, shape.classes
        generator = torch.Generator().manual_seed(0)

        def unit(n: int) -> Tensor:
            return F.normalize(torch.randn(n, shape.dim, generator=generator), dim=1).to(device)

        def labels(n: int) -> Tensor:
            return torch.randint(C, (n,), generator=generator)

        self.queue = ClassBalancedQueue(shape.keys, C, shape.dim).to(device)
        self.queue.write(unit(len(self.queue)), self.queue.labels)
        self.z_MD = unit(shape.rows).requires_grad_()
        self.labels_M = labels(shape.rows // 2).repeat(2).to(device)
        self.keys_ED = unit(shape.written)
        self.labels_E = labels(shape.written).to(device)
        counts = [5 + label % 300 for label in range(C)]
        self.loss = SPMLoss(shape.positives, shape.negatives, TEMPERATURE, BETA,
                            class_counts=counts)

    def ours(self) -> Tensor:
        """Loss, backward pass and write of this package."""
        self.z_MD.grad = None
        loss = self.loss(self.z_MD, self.labels_M, self.queue)
        loss.backward()
        self.write()
        return loss

    def write(self) -> None:
        """The write alone."""
        self.queue.stage(self.keys_ED[None], self.labels_E)
        self.queue.commit()

    def parts(self) -> dict[str, Callable[[], Any]]:
        """What our step is made of, in part; product and selection are the released one's, too."""
        z_MD = self.z_MD.detach()
        each = group_size(z_MD, self.queue, self.shape.negatives)
        product = partial(similarities, z_MD, self.queue, room=each > 1)
        sim_MR = product()
        return {'product': product, 'write': self.write, 'selection': lambda: largest(
            sim_MR.clone(), self.shape.negatives, each)}  # (it overwrites them)

    def floor(self, sort: bool = True) -> None:
        """The product, its backward pass, and one top-k."""
        z_MD, keys_QD = self.z_MD.detach(), self.queue.keys
        sim_MQ = z_MD @ keys_QD.T
        sim_MQ.topk(self.shape.negatives, 1, sorted=sort)
        sim_MQ @ keys_QD

    def released(self) -> Callable[[], Tensor]:
        """A step of the released structure; it begins with the same queue."""
        shape = self.shape
        weight_C = self.loss._weight_C
        assert weight_C is not None
        branch = ReleasedBranch(self.queue.keys, shape.classes, shape.positives, shape.negatives,
                                TEMPERATURE, weight_C.to(self.z_MD.device))

        def step() -> Tensor:
            self.z_MD.grad = None
            loss = branch.loss(self.z_MD, self.labels_M)
            branch.write(self.keys_ED, self.labels_E)
            loss.backward()
            return loss

        return step

    def check(self, released: Callable[[], Tensor]) -> None:
        """Both must give the same loss and gradient, from equal queues."""
        results = []
        for step in (released, self.ours):
            loss = step().detach()
            assert self.z_MD.grad is not None
            results.append((loss, self.z_MD.grad.clone()))
        for mine, theirs in zip(*results):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-7)


class Operations(TorchDispatchMode):
    """Counts the operations that compute something: views don't."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def operations(step: Callable[[], Any]) -> int:
    """How many operations a step takes."""
    with Operations() as counted:
        step()
    return counted.count


def waits_for_device(step: Callable[[], Any]) -> bool | None:
    """Whether a step synchronises with the GPU; None on a CPU, where nothing can."""
    if not torch.cuda.is_available():
        return None
    torch.cuda.set_sync_debug_mode('error')
    try:
        step()
    except RuntimeError:
        return True
    finally:
        torch.cuda.set_sync_debug_mode('default')
    return False


def main(argv: Sequence[str] | None = None) -> None:
    """Measures all shapes."""
    args = parser(__doc__ or '', 'branch').parse_args(argv)
    device, rows, parts = start(args), [], []
    for shape in SHAPES:
        branch = Branch(shape, device)
        released = branch.released()
        branch.check(released)
        seconds = alternate({'ours': branch.ours, 'floor': branch.floor,
                             'unsorted floor': partial(branch.floor, sort=False),
                             'released': released}, args.rounds, device)
        ratios = dict(over_floor=ratio(seconds, 'ours', 'floor'),
                      over_unsorted_floor=ratio(seconds, 'ours', 'unsorted floor'),
                      released_over_ours=ratio(seconds, 'released', 'ours'))
        rows.append(dict(shape=shape._asdict(), waits=waits_for_device(branch.ours), **ratios,
                         seconds={name: summary(values) for name, values in seconds.items()}))
        alone = alternate({**branch.parts(), 'released': released}, args.rounds, device)
        parts.append(dict(shape=shape._asdict(), operations=operations(branch.ours),
                          released_operations=operations(released),
                          seconds={name: summary(alone[name]) for name in branch.parts()}))
        print(f'{shape}: {shown(summary(seconds["ours"]), 1e3)} ms, '
              f'{shown(ratios["over_floor"])} x the floor '
              f'({shown(ratios["over_unsorted_floor"])} x with an unsorted top-k); '
              f'released structure {shown(ratios["released_over_ours"])} x')
    save(args, rows, parts=parts)


if __name__ == '__main__':
    main()
