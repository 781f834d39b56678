"""Trainings in processes of their own, to be signalled and killed, without the cost of imports.

The processes are forked from one that has imported this module and done nothing else.
"""

import json
import multiprocessing
import os
import socket
import time
from pathlib import Path

import sklearn.datasets  # noqa: F401  DigitsLT loads them
import torch
import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.fileio import register_backend
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner import runner as runner_module
from mmpretrain.registry import HOOKS

from rescom_mm.utils.atomic_backend import ATOMIC, AtomicLocalBackend
from tests.runs import tiny_config

_COLLECTIVES = [name for name in (
    'all_gather', 'all_gather_into_tensor', 'all_gather_object', 'all_gather_single', 'all_reduce',
    'barrier', 'broadcast', 'broadcast_object_list', 'gather', 'reduce',
) if hasattr(torch_dist, name)]
CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(['tests.forked'])


def start(work_dir, rank=0, world=1, port=None, hang_at=None, pause=0.0, **options):
    """Starts a training of a shortened quick start; returns its process.

    It leads a process group of its own, waits ``pause`` seconds in each iteration, and halts when
    it has written the share ``hang_at`` of a checkpoint. What happens in it is appended to
    ``events`` in the work directory (see :class:`EventsHook`).
    """
    Path(work_dir).mkdir(exist_ok=True)
    process = CONTEXT.Process(target=_train, args=(work_dir, rank, world, port, hang_at,
                                                    pause, options))
    process.start()
    return process


def start_ranks(work_dir, world, **options):
    """The same with several gloo processes."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    return [start(work_dir, rank, world, port, **options) for rank in range(world)]


def events(work_dir):
    """What has happened so far: lists of a name, the rank, and figures."""
    file = Path(work_dir) / 'events'
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def wait_for(work_dir, name, *figures, since=0, timeout=60):
    """Waits for an event after the first ``since`` ones."""
    until = time.monotonic() + timeout
    while not any(event[0] == name and event[2:2 + len(figures)] == list(figures)
                  for event in events(work_dir)[since:]):
        assert time.monotonic() < until, (name, events(work_dir)[-5:])
        time.sleep(0.01)


def end(*processes, timeout=60):
    """Waits for processes; returns their exit codes and the seconds it took."""
    began = time.monotonic()
    for process in processes:
        process.join(timeout)
        if process.is_alive():
            process.kill()
            raise AssertionError('does not end')
    codes = [process.exitcode for process in processes]
    return (codes[0] if len(codes) == 1 else codes), time.monotonic() - began


def spare_time(setattr=setattr):
    """Leaves out what takes mmengine most of a short run: compilers' versions, pretty configs."""
    setattr(runner_module, 'collect_env', dict)
    setattr(Config, 'pretty_text', 'left out')


def _note(work_dir, name, *figures):
    line = json.dumps([name, int(os.environ.get('RANK', 0)), *figures]) + '\n'
    with open(Path(work_dir) / 'events', 'a') as file:
        file.write(line)


@HOOKS.register_module()
class EventsHook(Hook):
    """Notes what happens, and waits a moment, so that a test can come in between."""

    priority = 'HIGH'

    def __init__(self, pause):
        self.pause = pause
        self.collectives = 0
        for name in _COLLECTIVES:
            setattr(torch_dist, name, self._counting(getattr(torch_dist, name)))

    def _counting(self, collective):
        def counting(*args, **kwargs):
            self.collectives += 1
            return collective(*args, **kwargs)
        return counting

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        _note(runner.work_dir, 'iter', runner.iter, self.collectives)
        time.sleep(self.pause)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        _note(runner.work_dir, 'val_iter', runner.iter, batch_idx)
        time.sleep(self.pause)

    def gather_state(self, runner):
        _note(runner.work_dir, 'gather_state', runner.iter)


class HangingBackend(AtomicLocalBackend):
    """Comes to a halt after a share of a checkpoint, to be killed there."""

    share = 0.5

    @classmethod
    def _write(cls, obj, path):
        with open(path, 'wb') as file:
            file.write(obj[:int(cls.share * len(obj))])
        _note(path.parent, 'writing')
        time.sleep(60)


def _train(work_dir, rank, world, port, hang_at, pause, options):
    os.setpgid(0, 0)
    log = os.open(Path(work_dir) / f'log{rank}', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    torch.set_num_threads(1)
    spare_time()
    if hang_at is not None:
        HangingBackend.share = hang_at
        register_backend(ATOMIC, HangingBackend, force=True)
    cfg = tiny_config(work_dir, without=['results'],
                      default_hooks__events=dict(type='EventsHook', pause=pause), **options)
    if world > 1:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world),
                          MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
        cfg.launcher = 'pytorch'
        from rescom_mm.apis.cli import init_cpu_processes
        init_cpu_processes(cfg)
    runner = Runner.from_cfg(cfg)
    _note(work_dir, 'built')
    runner.train()
    _note(work_dir, 'done')
