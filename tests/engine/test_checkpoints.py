"""Checkpoints are whole or not there: damage, full disks, and kills at any moment."""

import datetime
import errno
import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from unittest import mock

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner

from rescom_mm.apis.train import build_config, parse_args
from rescom_mm.utils.atomic_backend import (
    AtomicLocalBackend,
    DiskFullError,
    remove_partial_files,
)
from rescom_mm.utils.experiment import experiment
from rescom_mm.utils.whole_checkpoint import newest_resumable, why_not_resumable
from tests import forked
from tests.runs import TINY, load, tiny_config, train

SHORT = dict(without=['results'], train_dataloader__batch_size=128, train_cfg__val_interval=1000)


@pytest.fixture(scope='module', autouse=True)
def _spare_time():
    with pytest.MonkeyPatch.context() as patch:
        forked.spare_time(patch.setattr)
        yield


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Two epochs of four batches, both kept."""
    folder = tmp_path_factory.mktemp('trained')
    train(folder, default_hooks__checkpoint__max_keep_ckpts=2, **SHORT)
    return folder


@pytest.fixture
def two(trained, tmp_path):
    """A copy of its folder: two whole checkpoints, ``epoch_2.pth`` the newer one."""
    folder = tmp_path / 'run'
    folder.mkdir()
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        shutil.copy(trained / name, folder)
    return folder


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def flip(file, position=None):
    content = bytearray(file.read_bytes())
    position = len(content) // 2 if position is None else position
    content[position] ^= 4
    file.write_bytes(content)


DAMAGE = {
    'torn': (cut, 'is torn'),
    'empty': (lambda file: file.write_bytes(b''), 'is empty'),
    'flipped': (flip, 'checksum'),
    'text': (lambda file: file.write_text('hello'), 'no checkpoint'),
    'weights': (lambda file: torch.save(dict(weight=torch.zeros(3)), file), 'of a training'),
    'tensor': (lambda file: torch.save(torch.zeros(3), file), 'of a training'),
    'zip': (lambda file: shutil.make_archive(str(file.with_suffix('')), 'zip', file.parent,
                                             'epoch_1.pth')
            and os.replace(file.with_suffix('.zip'), file), 'cannot be loaded'),
}


@pytest.mark.parametrize('kind', DAMAGE)
def test_newest_whole_checkpoint(two, kind):
    """One warning for what is not whole, and the other one is taken."""
    assert newest_resumable(two) == str(two / 'epoch_2.pth')
    damage, reason = DAMAGE[kind]
    damage(two / 'epoch_2.pth')
    warnings = []
    assert newest_resumable(two, warn=warnings.append) == str(two / 'epoch_1.pth')
    assert len(warnings) == 1 and 'epoch_2.pth' in warnings[0] and reason in warnings[0]


def test_newest_is_by_time_of_writing(two):
    """An older, longer training may lie in the folder."""
    os.utime(two / 'epoch_2.pth', (1, 1))
    assert newest_resumable(two) == str(two / 'epoch_1.pth')
    os.utime(two / 'epoch_1.pth', (1, 1))
    shutil.copy(two / 'epoch_1.pth', two / 'epoch_10.pth')
    os.utime(two / 'epoch_10.pth', (1, 1))
    assert newest_resumable(two) == str(two / 'epoch_10.pth')


def test_best_and_published_checkpoints_are_passed_over(two):
    for name in ('best_shot_all_epoch_1.pth', 'epoch_1-0a1b2c3d.pth'):
        shutil.copy(two / 'epoch_1.pth', two / name)
    warnings = []
    assert newest_resumable(two, warn=warnings.append) == str(two / 'epoch_2.pth')
    assert not warnings and newest_resumable(two / 'none') is None


def test_times_of_a_copy(two):
    """What last_checkpoint names wins if it is further than the newest file, and whole."""
    os.utime(two / 'epoch_2.pth', (1, 1))
    (two / 'last_checkpoint').write_text('/where/it/was/epoch_2.pth')
    warnings = []
    assert newest_resumable(two, warn=warnings.append) == str(two / 'epoch_2.pth')
    assert len(warnings) == 1 and 'are these times of a copy?' in warnings[0]
    cut(two / 'epoch_2.pth')
    assert newest_resumable(two) == str(two / 'epoch_1.pth')
    (two / 'last_checkpoint').write_text('epoch_7.pth')
    assert newest_resumable(two) == str(two / 'epoch_1.pth')


@pytest.mark.parametrize('template', ['epoch_{}.pt', 'run-{:08d}.pth', '{:08d}'])
def test_other_file_names(two, template):
    name = template.format(7)
    os.rename(two / 'epoch_1.pth', two / name)
    shutil.copy(two / name, two / f'{os.path.splitext(name)[0]}-0a1b2c3d.pth')  # published
    os.remove(two / 'epoch_2.pth')
    assert newest_resumable(two, template=template) == str(two / name)


def test_file_that_wants_too_much(two):
    """It is not passed over: it may be the run's own, which would then start over."""
    checkpoint = load(two / 'epoch_2.pth')
    torch.save(dict(checkpoint, made=datetime.date(2026, 1, 1)), two / 'epoch_2.pth')
    with pytest.raises(ValueError, match=r'epoch_2.pth was not loaded: it asks for datetime.date'):
        iterations(two, resume=True)
    assert sorted(path.name for path in two.glob('*.pth')) == ['epoch_1.pth', 'epoch_2.pth']


def test_what_cannot_be_read_back_is_told_at_once(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(MMLogger, 'error', lambda self, text, *args: said.append(text))
    runner = Runner.from_cfg(tiny_config(tmp_path, **SHORT))
    runner.message_hub.update_info('made', datetime.date(2026, 1, 1))
    runner.train()
    assert len(said) == 1 and 'epoch_1.pth, which was just written, cannot be resumed' in said[0]


def test_every_flipped_bit_is_found_or_harmless(two):
    """Some bytes of a zip file carry nothing: then the content is the same."""
    file, generator = two / 'epoch_2.pth', random.Random(0)
    original, whole = file.read_bytes(), load(file)['state_dict']
    found = 0
    for _ in range(25):
        flip(file, generator.randrange(len(original)))
        if why_not_resumable(file) is not None:
            found += 1
        else:
            for name, value in load(file)['state_dict'].items():
                assert torch.equal(value, whole[name]), name
        file.write_bytes(original)
    assert found > 20
    for _ in range(10):
        os.truncate(file, generator.randrange(len(original)))
        assert why_not_resumable(file) is not None
        file.write_bytes(original)


def iterations(folder, **options):
    """The iterations that a run makes, up to its third epoch."""
    runner = Runner.from_cfg(tiny_config(folder, epochs=3, **SHORT, **options))
    made, run_iter = [], runner.train_loop.run_iter
    runner.train_loop.run_iter = lambda *args: (made.append(runner.iter), run_iter(*args))
    runner.train()
    return made


@pytest.mark.stack
def test_resume_skips_a_torn_file(two):
    (two / 'last_checkpoint').write_text(str(two / 'epoch_2.pth'))
    cut(two / 'epoch_2.pth')
    (two / 'epoch_2.pth.123.partial').write_bytes(b'of a killed writer')
    made = iterations(two, resume=True)
    assert made == list(range(4, 12))
    assert sorted(path.name for path in two.glob('*.p*')) == ['epoch_3.pth',
                                                              'rescom_tiny_digits-lt.py']
    assert (two / 'last_checkpoint').read_text() == str(two / 'epoch_3.pth')
    assert load(two / 'epoch_3.pth')['message_hub']['runtime_info']['last_ckpt'].endswith('3.pth')


def test_nothing_whole_starts_from_the_beginning(two, trained):
    """Which is the config's load_from, where there is one."""
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        cut(two / name)
    args = parse_args([str(TINY), '--resume', '--cfg-options',
                       f'load_from={trained / "epoch_2.pth"}'])
    loaded = build_config(args)
    assert loaded.load_from is None
    weights = []
    with mock.patch.object(Runner, 'load_checkpoint', lambda self, file, *_: weights.append(file)):
        assert iterations(two, resume=True,
                          load_from_at_first=loaded.load_from_at_first) == list(range(12))
    assert weights == [str(trained / 'epoch_2.pth')]
    assert experiment(loaded)['load_from'] == weights[0]


def test_explicit_path_must_be_whole(two):
    cut(two / 'epoch_2.pth')
    with pytest.raises(ValueError, match=r'_2.pth is torn.*newest whole checkpoint is .*_1.pth'):
        iterations(two, resume=True, load_from=str(two / 'epoch_2.pth'))


def test_older_checkpoint_goes_when_the_newer_one_is_whole(two, monkeypatch):
    """Until then it stays; if the run dies in between, the next one removes it."""
    put = AtomicLocalBackend.put

    def dying_put(self, obj, filepath):
        if str(filepath).endswith('epoch_3.pth'):
            assert (two / 'epoch_2.pth').is_file()
            raise KeyboardInterrupt
        put(self, obj, filepath)

    with monkeypatch.context() as patch:
        patch.setattr(AtomicLocalBackend, 'put', dying_put)
        with pytest.raises(KeyboardInterrupt):
            iterations(two, resume=True)
    assert (two / 'epoch_2.pth').is_file() and not (two / 'epoch_3.pth').is_file()

    from rescom_mm.engine import WholeCheckpointHook
    with monkeypatch.context() as patch:
        patch.setattr(WholeCheckpointHook, '_remove', lambda *args: (_ for _ in ()).throw(OSError))
        with pytest.raises(OSError):
            iterations(two, resume=True)
    assert (two / 'epoch_2.pth').is_file() and (two / 'epoch_3.pth').is_file()
    assert iterations(two, resume=True) == []
    assert not (two / 'epoch_2.pth').is_file() and (two / 'epoch_3.pth').is_file()


def test_best_checkpoints_and_published_ones(tmp_path, monkeypatch):
    """Whole too; the former best one goes when the new one and what names it are there."""
    options = dict(SHORT, train_cfg__val_interval=1, default_hooks__checkpoint__published_keys=[
        'meta', 'state_dict'], default_hooks__checkpoint__save_best='shot/all',
        default_hooks__checkpoint__rule='greater')
    written, put = [], AtomicLocalBackend.put

    def noting_put(self, obj, filepath):
        put(self, obj, filepath)
        written.append((Path(filepath).name, {path.name for path in tmp_path.glob('best_*')}))

    monkeypatch.setattr(AtomicLocalBackend, 'put', noting_put)
    from rescom_mm.evaluation import ShotAccuracy
    values = [10.0, 20.0, 15.0, 30.0, 1.0]
    monkeypatch.setattr(ShotAccuracy, 'compute_metrics', lambda self, results: {
        'all': values[MessageHub.get_current_instance().get_info('epoch')]})
    train(tmp_path, epochs=3, **options)
    first, second = 'best_shot_all_epoch_1.pth', 'best_shot_all_epoch_2.pth'
    names = [name for name, _ in written if name != 'last_checkpoint']
    assert names[:6] == ['epoch_1.pth', first, 'epoch_1.pth', 'epoch_2.pth', second, 'epoch_2.pth']
    assert all({first} <= best for name, best in written[3:] if name in names[3:6])
    assert {path.name for path in tmp_path.glob('best_*') if '-' not in path.name} == {second}
    published = list(tmp_path.glob('*-*.pth'))
    assert len(published) == 2 and all(path.name in names for path in published)
    assert set(load(published[0])) == {'meta', 'state_dict'}
    # as in a run that goes on, an epoch that was the best is saved though it is not due
    written.clear()
    train(tmp_path, epochs=5, resume=True, default_hooks__checkpoint__interval=10, **options)
    names = [name for name, _ in written if name != 'last_checkpoint']
    assert names[:2] == ['best_shot_all_epoch_4.pth', 'epoch_4.pth']


def test_atomic_backend(tmp_path, monkeypatch):
    backend, file = AtomicLocalBackend(), tmp_path / 'sub' / 'x.pth'
    backend.put(b'one', file)
    backend.put_text('zwölf', file)
    assert backend.get_text(file) == 'zwölf' and os.listdir(file.parent) == ['x.pth']
    other = tmp_path / 'plain'
    other.write_bytes(b'')
    assert file.stat().st_mode == other.stat().st_mode
    for name in ('x.pth.77.partial', 'y.partial', 'z.pth'):
        (file.parent / name).touch()
    remove_partial_files(file.parent)
    assert sorted(os.listdir(file.parent)) == ['x.pth', 'y.partial', 'z.pth']

    def full(self, obj, path):
        path.write_bytes(obj[:2])
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(AtomicLocalBackend, '_write', full)
    with pytest.raises(DiskFullError, match=r'x.pth cannot be written.* 5 bytes needed, \d+ free'):
        backend.put(b'three', file)
    assert backend.get_text(file) == 'zwölf' and not list(file.parent.glob('x*partial'))


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for one checkpoint, not for two."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2500k', 'tmpfs', str(folder)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f'cannot mount a tmpfs here: {done.stderr.strip()}')
    yield folder
    subprocess.run(['umount', str(folder)], check=True)


def test_full_disk(tmp_path, small_disk):
    options = dict(SHORT, default_hooks__checkpoint__out_dir=str(small_disk))
    run = small_disk / 'run'
    with pytest.raises(OSError, match=(
            r'epoch_2.pth cannot be written, the disk or quota is full: \d+ bytes needed, '
            r'\d+ free; the previous checkpoint .*epoch_1.pth is whole; free space')) as caught:
        train(tmp_path / 'run', **options)
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(run) == ['epoch_1.pth']
    assert why_not_resumable(run / 'epoch_1.pth') is None
    subprocess.run(['mount', '-o', 'remount,size=20m', str(small_disk)], check=True)
    assert iterations(tmp_path / 'run', resume=True,
                      default_hooks__checkpoint__out_dir=str(small_disk)) == list(range(4, 12))


def check_folder(folder):
    """No file under a checkpoint's name is ever anything but whole. Returns the newest's iter."""
    for path in folder.glob('*.pth'):
        assert why_not_resumable(path) is None
    newest = newest_resumable(folder)
    return load(newest)['meta']['iter'] if newest else 0


def kill_and_restart(folder, kills, epochs):
    """A training that is killed again and again: in any iteration, and while it writes."""
    generator = random.Random(kills)
    options = {name: value for name, value in SHORT.items() if name != 'without'}
    done = 0
    for kill in range(kills + 1):
        before, writing = len(forked.events(folder)), kill % 2 == 1 and kill < kills
        process = forked.start(folder, epochs=epochs, resume=True, **options,
                               hang_at=generator.random() if writing else None)
        if kill == kills:
            assert forked.end(process, timeout=900)[0] == 0
        elif writing:
            forked.wait_for(folder, 'writing', since=before)
        else:  # a checkpoint is written after every fourth iteration
            forked.wait_for(folder, 'iter', done + generator.randrange(9), since=before)
            time.sleep(generator.choice([0, 0.1, 0.2]))
        process.kill()
        process.join()
        made = [event[2] for event in forked.events(folder)[before:] if event[0] == 'iter']
        assert made[0] == done  # it went on from the newest whole checkpoint
        newest = check_folder(folder)
        assert newest >= done
        if writing:
            assert len(list(folder.glob('*.partial'))) == 1  # of this kill, none of earlier ones
        done = newest
    assert done == 4 * epochs and not list(folder.glob('*.partial'))


def compare_with_uninterrupted(folder, epochs):
    train(folder / 'straight', epochs=epochs, **SHORT)
    straight = load(folder / 'straight' / f'epoch_{epochs}.pth')
    killed = load(folder / 'killed' / f'epoch_{epochs}.pth')
    for name, value in straight['state_dict'].items():
        assert torch.equal(killed['state_dict'][name], value), name


@pytest.fixture(scope='module')
def killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp('kills')
    kill_and_restart(folder / 'killed', kills=3, epochs=5)
    return folder


def test_killed_runs_go_on_from_whole_checkpoints(killed):
    assert check_folder(killed / 'killed') == 20


def test_killed_run_ends_in_the_same_weights(killed):
    compare_with_uninterrupted(killed, epochs=5)


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    kill_and_restart(tmp_path / 'killed', kills=20, epochs=40)
    compare_with_uninterrupted(tmp_path, epochs=40)
