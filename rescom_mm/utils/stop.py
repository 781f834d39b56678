"""Ending a process on a signal, with an exit code that says: start me again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable

#: exit code of a run that was asked to stop and can go on with ``--resume``: EX_TEMPFAIL
STOPPED = 75
#: what asks for it: batch systems send these before they kill
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequested(SystemExit):
    """Ends the process with exit code :data:`STOPPED`, unless somebody catches it."""

    def __init__(self, reason: str) -> None:
        super().__init__(STOPPED)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


def stop_before_training(number: int) -> None:
    """Ends the process when a signal comes before the training.

    Raises:
        StopRequested: always.
    """
    say(f'{signal.Signals(number).name}: stopped before the training; nothing to save, start it '
        'again')
    raise StopRequested(signal.Signals(number).name)


def say(message: str) -> None:
    """Writes a line to stderr; from a signal handler too, where logging could deadlock."""
    os.write(2, f'{message}\n'.encode())


class SurviveStopSignals:
    """A ``worker_init_fn`` for data loaders whose workers outlive a stop signal.

    Batch systems may signal every process of a job; the training needs its workers until it has
    stopped. SIGUSR1 is ignored, SIGTERM obeyed if the training process itself sends it, which is
    how ``multiprocessing`` ends workers that are left over.

    Args:
        then: the function that the data loader had.
    """

    def __init__(self, then: Callable[[int], None] | None) -> None:
        self.then = then

    def __call__(self, worker_id: int) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        if hasattr(signal, 'sigwaitinfo'):  # not on macOS
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            threading.Thread(target=_obey_parent, daemon=True).start()
        if self.then is not None:
            self.then(worker_id)


def _obey_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent.pid:
        pass
    os._exit(0)
