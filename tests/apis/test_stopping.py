"""Stopping and killing what users start: the tools and launchers themselves, on real trainings."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mmpretrain
import pytest

from tests.apis.test_launch import alive, two_hosts  # noqa: F401
from tests.engine.test_stop_hook import children
from tests.runs import ROOT, TINY, load

pytestmark = pytest.mark.slow
STOCK = Path(mmpretrain.__file__).parent / '.mim' / 'tools'
PROMISED = 30  # seconds
OPTIONS = ['--cfg-options', 'default_hooks.logger.interval=1', 'train_dataloader.batch_size=32',
           'train_cfg.val_interval=1000']
ENVIRONMENT = {**os.environ, 'OMP_NUM_THREADS': '1',
               'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'}


class Run:
    """A training whose output goes into a file."""

    def __init__(self, work_dir, *command, options=(), **environment):
        work_dir.mkdir(exist_ok=True)
        self.output = work_dir / f'output{len(list(work_dir.glob("output*")))}'
        with open(self.output, 'w') as output:
            self.process = subprocess.Popen(
                [*map(str, command), '--work-dir', str(work_dir), *OPTIONS, *options], cwd=ROOT,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                env={**ENVIRONMENT, **environment})

    def said(self):
        return self.output.read_text()

    def wait_for(self, pattern, timeout=120):
        until = time.monotonic() + timeout
        while not re.search(pattern, self.said()):
            assert time.monotonic() < until and self.process.poll() is None, self.said()[-3000:]
            time.sleep(0.1)
        return self

    def end(self):
        """Exit code, and seconds that it took."""
        began = time.monotonic()
        try:
            return self.process.wait(120), time.monotonic() - began
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(f'does not end:\n{self.said()[-3000:]}') from None

    def check_stopped(self, work_dir):
        """Ended with 75 in time; the iteration at which it did."""
        code, seconds = self.end()
        said = self.said()
        print(f'stopped in {seconds:.1f} s')
        assert code == 75 and seconds < PROMISED and 'Traceback' not in said, said[-3000:]
        stops = re.findall(r'stopped by a signal at iteration (\d+)', said)
        assert len(stops) == 1
        assert load(work_dir / f'stop_iter_{stops[0]}.pth')['meta']['iter'] == int(stops[0])
        return int(stops[0])


def test_dist_train(tmp_path):
    """A signal to the launcher, then one to a rank of the resumed run, then a rank is killed."""
    command = ['bash', 'tools/dist_train.sh', TINY, 2, '--resume']
    run = Run(tmp_path, *command).wait_for(r'Epoch\(train\) +\[2\]\[ *2/')
    run.process.send_signal(signal.SIGTERM)
    first = run.check_stopped(tmp_path)

    run = Run(tmp_path, *command).wait_for(r'Epoch\(train\) .*(\n.*)*Epoch\(train\)')
    assert f'Load checkpoint from {tmp_path}/stop_iter_{first}.pth' in run.said()
    ranks = children(run.process.pid)
    os.kill(ranks[1], signal.SIGUSR1)
    assert run.check_stopped(tmp_path) > first

    run = Run(tmp_path, *command).wait_for(r'Epoch\(train\)')
    ranks = children(run.process.pid)
    os.kill(ranks[1], signal.SIGKILL)
    code, seconds = run.end()
    print(f'ended {seconds:.1f} s after a rank was killed')
    assert code == 137 and seconds < PROMISED
    assert f'rank 1 (pid {ranks[1]}' in run.said() and 'killed by signal 9' in run.said()
    assert not any(map(alive, ranks))


def test_two_hosts(tmp_path, two_hosts):  # noqa: F811
    """Two network namespaces; the launcher of one gets the signal, then a cable is pulled."""
    names, cables, addresses = two_hosts
    tools = ['bash', 'tools/dist_train.sh', TINY, 1]

    def hosts(*options):
        return [Run(tmp_path, 'ip', 'netns', 'exec', names[node], *tools, *options,
                    NNODES='2', NODE_RANK=str(node), MASTER_ADDR=addresses[0], MASTER_PORT='29511',
                    GLOO_SOCKET_IFNAME=cables[node]) for node in range(2)]

    runs = hosts()
    runs[0].wait_for(r'Epoch\(train\) +\[2\]\[ *2/')
    runs[1].process.send_signal(signal.SIGUSR1)
    assert [run.end()[0] for run in runs] == [75, 75]
    runs[0].check_stopped(tmp_path)

    runs = hosts('--resume')
    runs[0].wait_for(r'Epoch\(train\)')
    subprocess.run(['ip', '-n', names[1], 'link', 'set', cables[1], 'down'], check=True)
    for run in runs:
        code, seconds = run.end()
        print(f'ended {seconds:.1f} s after the cable was pulled')
        assert code == 1 and seconds < 50 and 'has vanished' in run.said()


@pytest.mark.parametrize('tool', ['tools/train.py', STOCK / 'train.py'], ids=['ours', 'stock'])
def test_one_process_and_its_workers(tmp_path, tool):
    """The whole process group is signalled; through mmpretrain's own tool too."""
    run = Run(tmp_path, sys.executable, tool, TINY, '--no-pin-memory', options=[
        'train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True',
        'val_dataloader.persistent_workers=False'])
    run.wait_for(r'Epoch\(train\) +\[2\]\[ *2/')
    workers = children(run.process.pid)
    os.killpg(run.process.pid, signal.SIGTERM)
    run.check_stopped(tmp_path)
    assert len(workers) == 2 and not any(map(alive, workers))


def test_signal_at_the_start(tmp_path):
    """Before anything is imported, and while the data are read: nothing to save, start again."""
    run = Run(tmp_path, 'bash', 'tools/dist_train.sh', TINY, 2)
    time.sleep(1)
    run.process.send_signal(signal.SIGTERM)
    assert run.end()[0] == 75
    run = Run(tmp_path, sys.executable, 'tools/train.py', TINY).wait_for('System environment')
    run.process.send_signal(signal.SIGUSR1)
    assert run.end()[0] == 75 and 'nothing to save' in run.said()
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize('delay', [0.3, 1, 2, 4])
def test_signal_soon_after_the_start(tmp_path, delay, number):
    """To one process alone, and to one of two ranks."""
    for command in (['tools/train.py', TINY], ['tools/launch.py', 2, 'tools/train.py', TINY]):
        run = Run(tmp_path, sys.executable, *command, options=['train_cfg.max_epochs=1000'])
        time.sleep(delay)
        pid = run.process.pid
        os.kill(pid if len(command) == 2 else children(pid)[1], number)
        assert run.end()[0] == 75 and 'Traceback' not in run.said(), run.said()


def test_signal_in_the_rendezvous(tmp_path):
    """A node that waits for its peer inside torch."""
    run = Run(tmp_path, sys.executable, 'tools/launch.py', 1, 'tools/train.py', TINY, options=[
        '--launcher', 'pytorch'], NNODES='2', NODE_RANK='0', MASTER_ADDR='127.0.0.1',
        MASTER_PORT='29531')
    run.wait_for(r'waiting for node\(s\) 1')
    run.process.send_signal(signal.SIGTERM)
    code, seconds = run.end()
    assert code == 75 and seconds < PROMISED and 'nothing to save' in run.said()


def test_error_in_a_rank_is_readable(tmp_path):
    run = Run(tmp_path, 'bash', 'tools/dist_train.sh', TINY, 2,
              options=['model.contrastive_loss.temprature=0.1'])
    code, seconds = run.end()
    assert code == 1 and seconds < 60
    assert 'Did you mean `temperature`?' in run.said()
