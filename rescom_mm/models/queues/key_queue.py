"""What all key queues share: storage, staging, and the vectorised write.

Shape suffixes: Q slots, P places, which are a spare one and the slots, G groups (a FIFO each, the
first of the spare place alone), N rows to write, B images, V views, D dimension.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...utils import StepFlags
from .gather_keys import PAD_LABEL, gather_keys


class KeyQueue(nn.Module):
    """Labelled keys in one or more FIFOs (groups), written without host synchronisation.

    The state is in buffers and travels in checkpoints: ``_keys_PD`` float32; ``_written_P`` int32,
    the number of the commit that wrote the place, -1 for never; ``_ptr_G`` int32, the next slot
    of each group; ``_commits`` int32. (int32 and not int64: ``SyncBuffersHook`` averages buffers
    over the ranks in a way that equal int32 survive.) The first place is spare: what is not to be
    kept is written there, so that the shapes of a write do not depend on its labels.

    Args:
        capacities: slots of each group.
        feat_dim: dimension D of a key.
        init: ``'masked'``: a slot is no key until it was written; ``'random'``: slots start as
            random unit vectors that count as keys, as in the released code.
    """

    _keys_PD: Tensor
    _written_P: Tensor
    _ptr_G: Tensor
    _commits: Tensor
    _layout_2G: Tensor
    _MAX_UNCOMMITTED = 8  # forward passes; gradient checkpointing repeats one, a few are harmless

    def __init__(self, capacities: Sequence[int], feat_dim: int, init: str = 'masked') -> None:
        super().__init__()
        if init not in ('masked', 'random'):
            raise ValueError(f"{type(self).__name__}: init must be 'masked' or 'random', "
                             f'got {init!r}')
        if not 1 <= feat_dim < 2**31:
            raise ValueError(f'{type(self).__name__}: feat_dim must be positive and below 2^31, '
                             f'got {feat_dim}')
        self.feat_dim = feat_dim
        self.init = init
        layout_2G = self._layout(capacities)
        places = int(layout_2G[:, -1].sum())
        self.register_buffer('_keys_PD', torch.zeros(places, feat_dim))
        self.register_buffer('_written_P', torch.full((places,), -1, dtype=torch.int32))
        self.register_buffer('_ptr_G', torch.zeros(layout_2G.shape[1], dtype=torch.int32))
        self.register_buffer('_commits', torch.zeros((), dtype=torch.int32))
        self.register_buffer('_layout_2G', layout_2G, persistent=False)
        self._staged: tuple[Tensor, Tensor] | None = None
        self._uncommitted = 0
        self.reset()

    @staticmethod
    def _layout(capacities: Sequence[int]) -> Tensor:
        """Places of each group, and the first of them; the spare one's group comes first."""
        capacity_G = torch.tensor([1, *capacities], dtype=torch.int32)
        return torch.stack([capacity_G, (capacity_G.cumsum(0) - capacity_G).int()])

    def __len__(self) -> int:
        """Number of slots Q."""
        return len(self._written_P) - 1

    @property
    def keys(self) -> Tensor:
        """``[Q, D]`` float32 keys; rows where :attr:`valid` is False are no keys."""
        return self._keys_PD.narrow(0, 1, len(self))

    @property
    def labels(self) -> Tensor:
        """``[Q]`` int32 labels of the keys, -1 where unknown."""
        raise NotImplementedError

    @property
    def missing(self) -> Tensor:
        """``[Q]`` bool, whether a slot holds no key."""
        written_Q = self._written_P.narrow(0, 1, len(self))
        if self.init == 'random':
            return torch.zeros_like(written_Q, dtype=torch.bool)
        return written_Q < 0

    @property
    def valid(self) -> Tensor:
        """``[Q]`` bool, whether a slot holds a key."""
        return ~self.missing

    def group_of(self, labels_N: Tensor) -> Tensor:
        """Group of each row; -1 where the label is -1."""
        raise NotImplementedError

    def slots_of(self, labels_A: Tensor) -> Tensor | None:
        """``[A, K]`` int64 slots of each row's class; None where classes have different K."""
        return None

    def stage(self, keys_VBD: Tensor, labels_B: Tensor) -> None:
        """Remembers this step's keys until :meth:`commit`; a second call replaces the first.

        Args:
            keys_VBD: keys of each view.
            labels_B: labels of the images.

        Raises:
            RuntimeError: if nothing commits what is staged.
        """
        self._uncommitted += 1
        if self._uncommitted > self._MAX_UNCOMMITTED:
            raise RuntimeError(
                'keys are staged but never written to the queue, which would stay empty for '
                "ever; add `default_hooks = dict(queue=dict(type='ClassBalancedQueueHook'))` to "
                'the config (configs/_base_/default_runtime.py has it), or call queue.commit() '
                'after each step of your own loop')
        self._staged = (keys_VBD.detach(), labels_B)

    def discard(self) -> None:
        """Forgets the staged keys; all ranks must, or none."""
        self._staged, self._uncommitted = None, 0

    def commit(self, view: int = 0, rows: int | None = None,
               flags: StepFlags | None = None) -> None:
        """Writes the staged keys of one view, gathered over the ranks; nothing staged is fine.

        Args:
            view: which view's keys.
            rows: the loader's batch size, to which every rank pads; needed with several ranks.
            flags: what else all ranks must agree on in this step; rides on the same collective.
        """
        if self._staged is None:
            return
        keys_VBD, labels_B = self._staged
        self.discard()
        keys_BD = keys_VBD[view].to(self._keys_PD)
        # a key whose norm is not finite is no key: it becomes padding, on the device
        finite_B = (keys_BD * keys_BD).sum(1) < torch.inf
        labels_B = torch.where(finite_B, labels_B.long(), PAD_LABEL)
        self.write(*gather_keys(keys_BD, labels_B, rows or len(labels_B), flags))

    def _columns(self, keys_ND: Tensor, labels_N: Tensor) -> list[tuple[Tensor, Tensor]]:
        """What a write stores of each row: the buffer over the places, and its rows."""
        return [(self._keys_PD, keys_ND)]

    @torch.no_grad()
    def write(self, keys_ND: Tensor, labels_N: Tensor) -> None:
        """Writes rows one after another, as each group's FIFO would, in one scatter.

        Rows of label -1 are skipped. Where a group gets more rows than it has slots, later rows
        replace earlier ones.

        Args:
            keys_ND: float32 keys.
            labels_N: integer labels.

        Raises:
            IndexError: for a label that the queue has no group for.
        """
        N = len(labels_N)
        self._commits += 1
        if N == 0:
            return
        group_N, order_N = torch.sort(self.group_of(labels_N), stable=True)
        first_N = torch.searchsorted(group_N, group_N)
        end_N = torch.searchsorted(group_N, group_N, right=True)
        group_N = group_N.long() + 1  # padding's is the spare place's
        ptr_N = self._ptr_G.index_select(0, group_N) - first_N
        capacity_N, start_N = self._layout_2G.index_select(1, group_N)
        row_N = torch.arange(N, device=group_N.device)
        place_N = (ptr_N + row_N) % capacity_N + start_N
        place_N *= row_N >= end_N - capacity_N  # a row that a later one replaces: the spare place
        for buffer, rows in self._columns(keys_ND, labels_N):
            buffer.index_copy_(0, place_N, rows.index_select(0, order_N))
            buffer[0].zero_()  # which of its rows came last, devices do not agree on
        self._written_P.index_copy_(0, place_N, self._commits.expand(N))
        self._ptr_G.index_copy_(0, group_N, ((ptr_N + end_N) % capacity_N).int())

    def reset(self) -> None:
        """Back to the initial state: no keys, or the random ones of ``init='random'``."""
        if self.init == 'random':
            # a generator of its own: the same keys on every rank, whatever their seeds
            generator = torch.Generator().manual_seed(0)
            keys_QD = torch.randn(self.keys.shape, generator=generator)
            self.keys.copy_(nn.functional.normalize(keys_QD, dim=1))
        self._written_P.fill_(-1)
        self._ptr_G.zero_()
        self._commits.zero_()

    def status(self) -> dict[str, float]:
        """Reads back how full and how fresh the queue is (synchronises with the device).

        Returns:
            ``fill``: share of slots that were written, and ``age``: the mean number of steps
            since they were (0 while nothing was written).
        """
        commit_Q = self._written_P[1:]
        written_Q = commit_Q >= 0
        age_Q = torch.where(written_Q, self._commits - commit_Q, 0)
        filled = int(written_Q.sum())
        return dict(fill=filled / len(self), age=int(age_Q.sum()) / max(filled, 1))
