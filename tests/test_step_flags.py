"""Flags that all ranks agree on (over several processes: tests/models/test_distributed.py)."""

import os
import signal

import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from rescom_mm.utils import StepFlags, step_flags
from rescom_mm.utils.stop import SurviveStopSignals
from tests import forked

OTHER = 2  # a flag beside STOP


@pytest.fixture
def loop():
    return EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)


@pytest.fixture
def flags(loop):
    runner = Runner.__new__(Runner)
    runner._train_loop = loop
    yield StepFlags.of(runner)
    assert runner  # the flags do not keep it alive


def test_one_process(flags, loop):
    """A flag counts for one step, in the step in which it is asked for first."""
    for step in range(5):
        loop._iter = step
        if step == 2:
            flags.raise_flag(OTHER)
            flags.raise_flag(StepFlags.STOP)
        for _ in range(2):
            assert flags.agreed(StepFlags.STOP, wait=False) == (step == 2)
            assert flags.agreed(OTHER) == (step == 2)


class OnDevice:
    """Words of two ranks in the memory of a device; copies of them are late."""

    is_cuda = True

    def __init__(self, *words):
        self.words = torch.tensor(words, dtype=torch.int32)
        self.waited = False

    def synchronize(self):
        self.waited = True


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setattr(step_flags, '_start_copy', lambda words: (words.words, words))


def test_read_one_step_later_on_cuda(flags, loop, device):
    """Nothing waits for the step at hand, and the answer is that of the step before."""
    before = None
    for step, words in enumerate([(0, 0), (0, 1), (2, 0), (0, 0), (3, 0), (0, 0)]):
        loop._iter, here = step, OnDevice(*words)
        flags.receive(here)
        assert before is None or before.waited
        expected = bool(before is not None and (before.words & 1).any())
        assert flags.agreed(StepFlags.STOP, wait=False) == expected
        assert not here.waited
        before = here


def test_waiting_on_cuda(flags, loop, device):
    """Who needs to know about this step waits for it, and then everybody knows."""
    loop._iter = 0
    flags.receive(here := OnDevice(0, 3))
    assert flags.agreed(OTHER) and here.waited
    assert flags.agreed(StepFlags.STOP, wait=False)
    loop._iter = 1
    flags.receive(OnDevice(0, 0))
    assert not flags.agreed(OTHER)


def echo(pipe):
    """What a worker of a data loader does first, then sends back what it gets."""
    SurviveStopSignals(pipe.send)(7)
    while True:
        pipe.send(pipe.recv())


def test_workers_of_a_data_loader_leave_stop_signals_alone():
    """All but SIGTERM from the process that made them: so ``multiprocessing`` ends them."""
    pipe, theirs = forked.CONTEXT.Pipe()
    worker = forked.CONTEXT.Process(target=echo, args=(theirs,), daemon=True)
    worker.start()
    assert pipe.recv() == 7  # the function that the loader had
    for number in (signal.SIGTERM, signal.SIGUSR1):  # from another process
        sender = forked.CONTEXT.Process(target=os.kill, args=(worker.pid, number))
        sender.start()
        sender.join()
        assert sender.exitcode == 0
        pipe.send(number)
        assert pipe.recv() == number
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 0


def test_loader_that_had_no_function():
    loader = DataLoader(range(4), num_workers=1, batch_size=None, worker_init_fn=SurviveStopSignals(
        None), multiprocessing_context=forked.CONTEXT)
    assert list(loader) == [0, 1, 2, 3]
