"""What torchrun, mmpretrain's scripts and a training without our hooks do with signals."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.apis.test_launch import HEAD, SLEEP, alive, wait_ready
from tests.apis.test_stopping import STOCK, Run
from tests.engine.test_stop_hook import children
from tests.stock.parts import plain_config

pytestmark = pytest.mark.slow
TORCHRUN = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node']


def port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def training(folder, *command):
    """A long training of mmpretrain's parts in its second epoch."""
    folder.mkdir()
    run = Run(folder, *command, options=['train_cfg.max_epochs=100000',
                                         'default_hooks.checkpoint.interval=100000'],
              PYTHONPATH=str(folder.parent), PORT=port())
    return run.wait_for(r'Epoch\(train\) +\[3\]')


@pytest.fixture
def config(tmp_path):
    return plain_config(tmp_path)


def kill(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_one_process(tmp_path, config, number):
    """The process is killed by the signal (143 or 138 to a shell); no checkpoint is written."""
    run = training(tmp_path / 'run', sys.executable, STOCK / 'train.py', config)
    os.killpg(run.process.pid, number)
    assert run.end()[0] == -number
    assert not list((tmp_path / 'run').glob('*.pth'))


def end_and_look(run, pids):
    """Exit code of a launcher, and how many processes of its run are left 3 s later."""
    code, _ = run.end()
    time.sleep(3)
    left = [pid for pid in pids if alive(pid)]
    kill(left)
    assert not list((run.output.parent).glob('*.pth'))
    return code, len(left)


def two_ranks(tmp_path, config):
    return training(tmp_path / 'run', *TORCHRUN, 2, '--master_port', port(), STOCK / 'train.py',
                    config, '--launcher', 'pytorch')


def test_sigterm_to_torchrun(tmp_path, config):
    """torchrun ends its workers within 3 s and returns 1, as after any error; no checkpoint."""
    run = two_ranks(tmp_path, config)
    ranks = children(run.process.pid)
    run.process.send_signal(signal.SIGTERM)
    assert len(ranks) == 2 and end_and_look(run, ranks) == (1, 0)


def test_sigusr1_to_torchrun(tmp_path, config):
    """It kills torchrun (138 to a shell); the workers train on as orphans; no checkpoint."""
    run = two_ranks(tmp_path, config)
    ranks = children(run.process.pid)
    run.process.send_signal(signal.SIGUSR1)
    assert end_and_look(run, ranks) == (-signal.SIGUSR1, 2)


def test_sigterm_to_dist_train(tmp_path, config):
    """The signal ends the script `dist_train.sh` alone; torchrun and its workers train on."""
    run = training(tmp_path / 'run', 'bash', STOCK / 'dist_train.sh', config, 2)
    torchrun, = children(run.process.pid)
    ranks = children(torchrun)
    run.process.send_signal(signal.SIGTERM)
    assert end_and_look(run, [torchrun, *ranks]) == (-signal.SIGTERM, 3)


@pytest.mark.parametrize('number', [signal.SIGUSR1, signal.SIGKILL])
def test_signal_to_one_rank(tmp_path, config, number):
    """The rank is killed, torchrun ends the other one, names the rank and the signal, and returns
    1; no checkpoint. SIGUSR1 and SIGKILL make no difference."""
    run = two_ranks(tmp_path, config)
    ranks = children(run.process.pid)
    os.kill(ranks[1], number)
    assert end_and_look(run, ranks) == (1, 0)
    assert f'exitcode  : -{int(number)} (pid: {ranks[1]})' in run.said()


def start(folder, processes, *options, script=SLEEP):
    folder.mkdir(parents=True)
    (folder / 'script.py').write_text(HEAD + script)
    with open(folder / 'output', 'w') as output:
        return subprocess.Popen([*TORCHRUN, str(processes), *options, 'script.py'], cwd=folder,
                                stdout=output, stderr=subprocess.STDOUT)


def test_orphans(tmp_path):
    """A torchrun that gets SIGKILL leaves its workers running (2 of 2 after 5 s)."""
    launcher = start(tmp_path / 'run', 2, '--master_port', port())
    pids = wait_ready(tmp_path / 'run', 0, 1)
    launcher.kill()
    launcher.wait()
    time.sleep(5)
    left = [pid for pid in pids if alive(pid)]
    kill(left)
    assert left == pids


def test_node_that_dies(tmp_path):
    """After 20 s the other node's torchrun and its worker still wait, and the worker of the dead
    torchrun is left too."""
    number = port()
    launchers = [start(tmp_path / str(node), 1, '--nnodes', '2', '--node_rank', str(node),
                       '--master_addr', '127.0.0.1', '--master_port', number) for node in range(2)]
    pids = wait_ready(tmp_path / '0', 0) + wait_ready(tmp_path / '1', 1)
    launchers[1].kill()
    launchers[1].wait()
    time.sleep(20)
    waits, left = launchers[0].poll() is None, [pid for pid in pids if alive(pid)]
    launchers[0].kill()
    launchers[0].wait()
    kill(left)
    assert waits and left == pids
