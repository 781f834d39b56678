"""What all ranks must know together about a training step: one word of flags for each step."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from weakref import ref

import torch
from mmengine.dist import get_comm_device, get_world_size
from mmengine.runner import Runner
from torch import Tensor

from .dist import all_gather


class StepFlags:
    """Flags that one rank raises and all ranks read, agreed on once for each training step.

    The word of flags rides on the collective of the step that the model's queue makes (with
    ``ClassBalancedQueueHook``). In a step without it, the first question makes a collective of one
    number: so all ranks must ask at the same place.
    """

    STOP = 1

    def __init__(self, runner: Runner) -> None:
        self._runner = ref(runner)
        self._raised: set[int] = set()
        self._step = -1
        self._now = 0  # the word of this step, as far as it has been read
        self._before = 0  # that of the step before
        self._copies: list[tuple[Tensor, torch.cuda.Event]] = []

    @classmethod
    def of(cls, runner: Runner) -> StepFlags:
        """The flags of a runner, the same object for everybody."""
        if not hasattr(runner, '_rescom_step_flags'):
            runner._rescom_step_flags = cls(runner)
        return runner._rescom_step_flags

    def raise_flag(self, bit: int) -> None:
        """Raises a flag on this rank, for the next exchange; a signal handler may call this."""
        self._raised.add(bit)

    def agreed(self, bit: int, wait: bool = True) -> bool:
        """Whether any rank has raised a flag, with the same answer on all ranks.

        Args:
            bit: the flag.
            wait: False: the answer is about this step where its word is known already (on a CPU),
                and about the step before where it is still on its way from a CUDA device. True:
                about this step, if need be after waiting for the device.
        """
        if self._step != self._current_step():
            self._exchange()
        word = self._read() if wait or not self._copies else self._before
        return bool(word & bit)

    def send(self) -> int:
        """This rank's word for the collective of this step; lowers the flags."""
        raised, self._raised = self._raised, set()
        return sum(raised)

    def receive(self, words: Tensor) -> None:
        """Takes the words of all ranks, int32, from the collective; nothing waits for a device."""
        self._start_step()
        if words.is_cuda:
            self._copies.append(_start_copy(words))
        else:
            self._now |= _any_of(words.tolist())

    def _exchange(self) -> None:
        word = self.send()
        if get_world_size() == 1:
            self._start_step()
            self._now |= word
            return
        mine = torch.tensor([word], dtype=torch.int32, device=get_comm_device())
        words = mine.new_empty(get_world_size())
        all_gather(words, mine)
        self.receive(words)

    def _start_step(self) -> None:
        step = self._current_step()
        if step != self._step:
            self._before, self._now, self._step = self._read(), 0, step

    def _current_step(self) -> int:
        runner = self._runner()
        assert runner is not None
        return runner.iter

    def _read(self) -> int:
        """The word of the step; waits for what is still on its way."""
        for copy, event in self._copies:
            event.synchronize()
            self._now |= _any_of(copy.tolist())
        self._copies = []
        return self._now


def _start_copy(words: Tensor) -> tuple[Tensor, torch.cuda.Event]:
    """A copy on the host, and the event after which it is there."""
    copy = torch.empty(words.shape, dtype=words.dtype, pin_memory=True)
    copy.copy_(words, non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return copy, event


def _any_of(words: Iterable[int]) -> int:
    return reduce(or_, words, 0)
