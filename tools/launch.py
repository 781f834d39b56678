"""Starts a script in several processes of this node: what dist_train.sh and dist_test.sh run.

Usage: launch.py PROCESSES SCRIPT [ARGUMENT ...]

Each process gets RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT. For
several nodes start it on each, with NNODES, NODE_RANK, MASTER_ADDR (of node 0) and MASTER_PORT
(default 29500) set; the launchers talk to each other over MASTER_PORT + 1.

Signals (SIGTERM, SIGUSR1, SIGINT) are passed on. When a process dies, the others are asked to end
(SIGTERM) and killed after 20 seconds; a node that was not heard of for 20 seconds counts as dead.
One that never came ends the others after 10 minutes, as long as torch's rendezvous waits for it.
None outlives its launcher. The exit code is 75 if they were stopped by a signal (ended with
75 or were killed by SIGTERM or SIGUSR1), else that of the first that failed; 128 + N for signal N.
"""

from __future__ import annotations

from stop_early import STOPPED  # first: a signal may come now  # isort: skip
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from typing import Any

GRACE = 20.0  # seconds that processes have to end, once one has
SILENCE = 20.0  # seconds without a word after which a node counts as dead
NOTICE, FIRST_CONTACT = 20.0, 600.0  # seconds without a node until that is said, or the end
BEAT, TICK = 1.0, 0.1  # seconds
_PRCTL = getattr(ctypes.CDLL(None), 'prctl', None)


def main() -> int:
    """Runs the processes; returns the exit code."""
    if sys.argv[1:] in (['-h'], ['--help']):
        print(__doc__)
        return 0
    if len(sys.argv) < 3 or not sys.argv[1].isdigit() or int(sys.argv[1]) < 1:
        sys.exit(__doc__)
    world, nodes, node = int(sys.argv[1]), _number('NNODES', 1), 0
    address, port = '127.0.0.1', 0
    if nodes > 1:
        node, port = _number('NODE_RANK'), _number('MASTER_PORT', 29500)
        address = os.environ.get('MASTER_ADDR', '')
        if not address or node >= nodes:
            sys.exit('launch.py: set MASTER_ADDR to the address of node 0, and NODE_RANK to '
                     f'0 ... {nodes - 1}')
        if not 0 < port < 65535:
            sys.exit(f'launch.py: set MASTER_PORT to 1 ... 65534 (and the next), got {port}')
    try:
        peers = Peers(nodes, node, address, port + 1)
    except OSError as error:
        sys.exit(f'launch.py: MASTER_PORT + 1 = {port + 1}: {error}; set another MASTER_PORT')
    environment = {**os.environ, 'MASTER_ADDR': address, 'MASTER_PORT': str(port or _free_port()),
                   'WORLD_SIZE': str(nodes * world), 'LOCAL_WORLD_SIZE': str(world)}
    if world > 1:  # else each process would take all cores
        environment.setdefault('OMP_NUM_THREADS', '1')
    return Workers(sys.argv[2:], world, node * world, environment).run(peers)


def _number(name: str, default: int | str = '') -> int:
    value = os.environ.get(name, str(default))
    if not value.isdigit():
        sys.exit(f'launch.py: set {name} to a number, got {value!r}')
    return int(value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def _say(message: str) -> None:
    print('launch.py:', message, file=sys.stderr, flush=True)


class Workers:
    """The processes of this node."""

    def __init__(self, command: list[str], world: int, first: int, environment: dict) -> None:
        self._code: int | None = None  # of the first that did not end well
        self._passed_on: int | None = None  # the last signal
        self._deadline: float | None = None
        self._processes: dict[int, subprocess.Popen] = {}
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._pass_on)
        for local in range(world):
            self._processes[first + local] = subprocess.Popen(
                [sys.executable, '-u', *command], start_new_session=True,
                preexec_fn=partial(_die_with, os.getpid()),
                env={**environment, 'RANK': str(first + local), 'LOCAL_RANK': str(local)})
        if self._passed_on is not None:  # meanwhile, so not to all
            self._signal_all(self._passed_on)

    def run(self, peers: Peers) -> int:
        """Waits for all; returns the exit code."""
        while self._processes:
            time.sleep(TICK)
            ended = [(rank, process) for rank, process in self._processes.items()
                     if process.poll() is not None]
            # the killed ones first: others that ended meanwhile did so for want of them
            for rank, process in sorted(ended, key=lambda item: item[1].returncode >= 0):
                del self._processes[rank]
                _kill_group(process)  # what it has left behind
                self._ended(rank, process)
            elsewhere = peers.poll(self._code)
            if elsewhere is not None and self._code is None:
                self._end_all(elsewhere)
            if self._deadline is not None and time.monotonic() > self._deadline:
                self._deadline = None
                for rank, process in self._processes.items():
                    _say(f'rank {rank} (pid {process.pid}) did not end in time and is killed')
                    _kill_group(process)
        peers.leave(self._code or 0)
        return self._code or 0

    def _ended(self, rank: int, process: subprocess.Popen) -> None:
        code = process.returncode
        if code == 0 or self._code is not None:
            return  # well, or because the first did
        if code != STOPPED and -code != self._passed_on:
            how = f'ended with {code}' if code > 0 else f'was killed by signal {-code}'
            _say(f'rank {rank} (pid {process.pid} on {socket.gethostname()}) {how}; '
                 f'the others have {GRACE:.0f} s to end')
        if code in (-signal.SIGTERM, -signal.SIGUSR1):  # asked to stop before it was ready for it
            code = STOPPED
        self._end_all(128 - code if code < 0 else code)

    def _end_all(self, code: int) -> None:
        self._code, self._deadline = code, time.monotonic() + GRACE
        self._signal_all(signal.SIGTERM)

    def _pass_on(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT == self._passed_on:  # Ctrl-C a second time
            self._deadline = 0.0
        self._passed_on = number
        self._signal_all(number)

    def _signal_all(self, number: int) -> None:
        for process in self._processes.values():
            process.send_signal(number)


def _die_with(launcher: int) -> None:
    """Lets a new process be killed when the launcher dies, however that happens (on Linux)."""
    if _PRCTL is not None:
        _PRCTL(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != launcher:
        os._exit(1)


def _kill_group(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


class Peers:
    """The launchers of the other nodes; all talk to that of node 0.

    They send lines: ``node N`` first, ``beat`` each second, ``end CODE`` last.
    """

    def __init__(self, nodes: int, node: int, address: str, port: int) -> None:
        self._nodes, self._node, self._address, self._sent = nodes, node, (address, port), 0.0
        self._began, self._noticed, self._refusal = time.monotonic(), False, ''
        self._links: list[Link] = []
        self._server = socket.create_server(('', port)) if nodes > 1 and node == 0 else None
        if self._server is not None:
            self._server.setblocking(False)

    def poll(self, code: int | None) -> int | None:
        """Talks to the others.

        Args:
            code: with which this node ends, None while that is open.

        Returns:
            The code with which another node ended, if it did not end well; 1 if one never came.
        """
        if self._nodes == 1:
            return None
        now = time.monotonic()
        self._connect(now)
        if code is not None:
            self._send(f'end {code}')
            return None
        if now - self._sent > BEAT:
            self._sent = now
            self._send('beat')
        ended = next(filter(None, [link.read(now) for link in self._links]), None)
        return ended or self._wait(now - self._began)

    def _wait(self, seconds: float) -> int | None:
        missing = self._missing() if seconds > NOTICE else ''
        if missing and not self._noticed:
            self._noticed = True
            _say(f'waiting for {missing}')
        if not missing or seconds < FIRST_CONTACT:
            return None
        _say(f'gave up waiting for {missing}; check NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT '
             f'of each node, and that port {self._address[1]} of node 0 is open')
        return 1

    def _missing(self) -> str:
        """The nodes from which there was no word yet."""
        if self._server is None:
            return '' if self._links else 'node 0 at {}:{}'.format(*self._address) + self._refusal
        known = {link.name for link in self._links}
        nodes = [str(node) for node in range(1, self._nodes) if f'node {node}' not in known]
        return f'node(s) {", ".join(nodes)}' if nodes else ''

    def leave(self, code: int) -> None:
        """Says good-bye, and gives the others a moment to hear it."""
        self._send(f'end {code}')
        for link in self._links:
            with contextlib.suppress(OSError):
                link.connection.settimeout(2)
                while link.connection.recv(4096):
                    pass

    def _connect(self, now: float) -> None:
        try:
            if self._server is not None:
                self._links.append(Link(self._server.accept()[0], now))
            elif not self._links:
                self._links.append(Link(socket.create_connection(self._address, 1), now, 'node 0'))
                self._send(f'node {self._node}')
        except OSError as error:
            self._refusal = f' ({error})'

    def _send(self, line: str) -> None:
        for link in self._links:
            with contextlib.suppress(OSError):
                link.connection.sendall(f'{line}\n'.encode())


class Link:
    """A connection to another launcher, closed when that has said how it ends."""

    def __init__(self, connection: socket.socket, now: float, name: str | None = None) -> None:
        self.connection, self.name = connection, name  # without a name: nobody of ours
        self._heard, self._text, self._over = now, '', False
        connection.setblocking(False)

    def read(self, now: float) -> int | None:
        """What the other has said: its exit code, if it did not end well."""
        if self._over:
            return None
        here = now - self._heard < SILENCE
        with contextlib.suppress(BlockingIOError):
            try:
                received = self.connection.recv(4096)
            except ConnectionError:
                received = b''
            here, self._heard = bool(received), now
            self._text += received.decode(errors='replace')
        *lines, self._text = self._text.split('\n')
        for word, _, number in (line.partition(' ') for line in lines):
            if word == 'node':
                self.name = f'node {number}'
            elif word == 'end' and number.isdigit():
                return self._end(int(number), f'ended with {number}')
        return None if here else self._end(1, 'has vanished')

    def _end(self, code: int, how: str) -> int | None:
        self._over = True
        self.connection.close()
        if not code or self.name is None:
            return None
        _say(f'{self.name} {how}')
        return code


if __name__ == '__main__':
    sys.exit(main())
