"""What mmengine leaves of checkpoints when writing is interrupted."""

import json
import os
import shutil

import pytest
from mmengine.fileio import LocalBackend

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
        with pytest.raises(FileNotFoundError, match='epoch_2.pth can not be found'):
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
    """x"""
    begun = tmp_path / 'begun'
    begun.mkdir()
    print(resumed_alone(tmp_path, begun))
    (begun / 'epoch_3.pth').unlink()
    (begun / 'last_checkpoint').unlink()
    runs = [tmp_path / kind for kind in DAMAGE]
    for kind, folder in zip(DAMAGE, runs):
        shutil.copytree(begun, folder)
        (folder / 'last_checkpoint').write_text(str(folder / 'epoch_2.pth'))
        DAMAGE[kind][0](folder / 'epoch_2.pth')
    shutil.rmtree(tmp_path / 'data')
    for k, s in zip(DAMAGE, resumed_alone(tmp_path, *runs)):
        print(k, '<<', s, '>>')
    assert 0


@pytest.mark.slow
def test_full_disk(tmp_path, small_disk, monkeypatch):  # noqa: F811
    """x"""
    for keep in (-1, 1):
        folder, run = small_disk / str(keep), tmp_path / str(keep)
        more = options(keep, hook=dict(out_dir=str(folder)))
        put = LocalBackend.put

        def filling_put(self, obj, filepath):
            put(self, obj, filepath)
            if str(filepath).endswith('epoch_1.pth'):
                stat = os.statvfs(small_disk)
                free = stat.f_bavail * stat.f_frsize
                (small_disk / 'others').write_bytes(bytes(free - len(obj) // 2 if keep < 0 else free))

        with monkeypatch.context() as patch:
            patch.setattr(LocalBackend, 'put', filling_put)
            with pytest.raises(BaseException) as e:
                train(run, epochs=3, **more)
        run = folder / str(keep)
        print(keep, type(e.value), e.value, os.listdir(run), [os.path.getsize(x) for x in run.glob('*')])
        (small_disk / 'others').unlink()
    assert 0
