"""What mmengine leaves of checkpoints when writing is interrupted."""

import errno
import json
import os
import shutil

import pytest
from mmengine.fileio import LocalBackend

from rescom_mm.compat import _version
from rescom_mm.utils.whole_checkpoint import why_not_resumable
from tests.engine.test_checkpoints import (  # noqa: F401
    DAMAGE,
    SHORT,
    _spare_time,
    small_disk,
)
from tests.runs import ROOT, run_tool, train
from tests.stock.parts import checkpoints, plain_config, stock_options


def options(keep=1, **more):
    more = {**{name: value for name, value in SHORT.items() if name != 'without'}, **more}
    return stock_options(default_hooks__checkpoint=checkpoints(
        interval=1, max_keep_ckpts=keep, **more.pop('hook', {})), **more)


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


@pytest.mark.slow
@pytest.mark.parametrize('keep', [1, -1])
def test_death_while_writing(tmp_path, monkeypatch, keep):
    """With `max_keep_ckpts=1` the previous checkpoint is removed before the new one is written:
    a torn file is all that is left, and `--resume` ends with FileNotFoundError. With all kept,
    `--resume` goes on from the previous one."""
    put = LocalBackend.put

    def dying_put(self, obj, filepath):
        if str(filepath).endswith('epoch_3.pth'):
            put(self, obj[:len(obj) // 2], filepath)
            raise KeyboardInterrupt
        put(self, obj, filepath)

    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, 'put', dying_put)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, epochs=3, **options(keep))
    assert names(tmp_path) == [f'epoch_{i}.pth' for i in ((3,) if keep == 1 else (1, 2, 3))]
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_2.pth')
    if keep == 1:
        with pytest.raises(FileNotFoundError, match=r'epoch_2\.pth can not be found'):
            train(tmp_path, epochs=3, resume=True, **options(keep))
    else:
        assert train(tmp_path, epochs=3, resume=True, **options(keep)).iter == 12


def resumed_alone(folder, *runs):
    """What resuming ends with in each of the folders, without this package in the process."""
    done = run_tool('-m', 'tests.stock.alone', plain_config(folder), *runs,
                    env=dict(PYTHONPATH=f'{folder}:{ROOT}'))
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"folder"')]
    return [line['said'] for line in lines]


@pytest.mark.slow
def test_damaged_file(tmp_path):
    """What `last_checkpoint` names is loaded, whole or not: `--resume` ends with RuntimeError,
    EOFError or KeyError where the file is torn, empty or foreign, though the one before it is
    whole. A flipped bit goes unnoticed."""
    begun = tmp_path / 'begun'
    begun.mkdir()
    assert resumed_alone(tmp_path, begun) == [12]
    (begun / 'epoch_3.pth').unlink()
    runs = [tmp_path / kind for kind in DAMAGE]
    for kind, folder in zip(DAMAGE, runs):
        shutil.copytree(begun, folder)
        (folder / 'last_checkpoint').write_text(str(folder / 'epoch_2.pth'))
        DAMAGE[kind][0](folder / 'epoch_2.pth')
    shutil.rmtree(tmp_path / 'data')
    said = dict(zip(DAMAGE, resumed_alone(tmp_path, *runs)))
    if said['flipped'] != 12:  # mmengine 0.10.7 on torch 2.6 and newer: nor its own checkpoints
        assert set(map(type, said.values())) == {str} and _version('mmengine') is not None
        return
    assert {kind: error.split(':')[0] for kind, error in said.items() if kind != 'flipped'} == dict(
        torn='RuntimeError', empty='EOFError', text='KeyError', weights='KeyError',
        tensor='RuntimeError', zip='RuntimeError')
    assert not any('epoch_2' in str(error) for error in said.values())


@pytest.mark.slow
@pytest.mark.parametrize('keep', [1, -1])
def test_full_disk(tmp_path, small_disk, monkeypatch, keep):  # noqa: F811
    """OSError [Errno 28] that names no file, and a torn file under the new name; with
    `max_keep_ckpts=1` the previous one was removed before, so that no whole checkpoint is left."""
    put = LocalBackend.put

    def filling_put(self, obj, filepath):
        """Somebody else takes the place that the second checkpoint would need."""
        if str(filepath).endswith('epoch_2.pth'):
            disk = os.statvfs(small_disk)
            (small_disk / 'others').write_bytes(bytes(disk.f_bavail * disk.f_frsize
                                                      - len(obj) // 2))
        put(self, obj, filepath)

    monkeypatch.setattr(LocalBackend, 'put', filling_put)
    more = options(keep, hook=dict(out_dir=str(small_disk)))
    with pytest.raises(OSError, match='No space left on device') as error:
        train(tmp_path / 'run', epochs=3, **more)
    assert error.value.errno == errno.ENOSPC and error.value.filename is None
    whole = [why_not_resumable(small_disk / 'run' / name) is None
             for name in names(small_disk / 'run')]
    assert whole == ([False] if keep == 1 else [True, False])
