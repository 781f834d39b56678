"""Stop signals at the start: once this is imported, SIGTERM and SIGUSR1 end the process with 75.

The first import of train.py and launch.py, since what they import next takes up to several seconds.
A training (StopHook) and the launcher set handlers of their own when they are ready. The exit is
immediate: an exception could be caught by whatever is being imported. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from functools import partial

STOPPED = 75  # EX_TEMPFAIL
_first = threading.Lock()


def _stop(number: int, frame: object) -> None:
    if _first.acquire(blocking=False):  # else another thread is just doing it
        name = signal.Signals(number).name
        said = f'{name}: stopped outside a training; nothing to save, start it again\n'
        os.write(2, said.encode())
        os._exit(STOPPED)


for _number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(_number, _stop)


def even_if_blocked() -> None:
    """Obeys while the main thread is inside a C function, too.

    Python runs handlers only between its own instructions, so a process that waits for the others
    in torch's rendezvous would hear nothing for minutes. A thread hears it instead.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    _wake(writer)
    # signals to processes that are forked from this one are not for it
    os.register_at_fork(before=partial(_wake, -1), after_in_parent=partial(_wake, writer),
                        after_in_child=partial(_wake, -1))
    threading.Thread(target=_listen, args=(reader,), daemon=True).start()


def _wake(descriptor: int) -> None:
    with contextlib.suppress(ValueError):  # another thread forks: only the main one may do this
        signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)


def _listen(reader: int) -> None:
    while True:
        number = os.read(reader, 1)[0]
        if signal.getsignal(number) is _stop:
            _stop(number, None)
