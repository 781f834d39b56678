"""tools/release.py: what is in a bundle, and what is not taken into one."""

import hashlib
import json
import shutil
import zipfile

import pytest
import torch

from rescom_mm.apis import release
from tests.runs import load, train

NAME = 'rescom_tiny_digits-lt_1e_seed0'


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('runs') / 'mine'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('rescom_mm.engine.hooks.results_hook.draw_results', lambda *args: None)
        train(folder, epochs=1)
    return folder


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / 'mine')


def test_bundle(run, tmp_path, capsys):
    out = tmp_path / 'new' / 'release'
    release.main([str(run), '--out', str(out)])
    assert '1 trainings' in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ['release']
    sums = dict(line.split('  ')[::-1] for line in (out / 'SHA256SUMS').read_text().splitlines())
    files = {str(path.relative_to(out)) for path in out.rglob('*') if path.is_file()}
    assert sums.keys() == files - {'SHA256SUMS'}
    for file, digest in sums.items():
        assert hashlib.sha256((out / file).read_bytes()).hexdigest() == digest

    entry, = json.loads((out / 'index.json').read_text())['runs']
    results = json.loads((run / 'results.json').read_text())
    assert entry['name'] == NAME and entry['final'] == results['final']
    assert entry['weights'].endswith(f'-{sums[entry["weights"]][:8]}.pth')
    for file in ('results.json', next(run.glob('*/*.log')).relative_to(run)):
        bundled = out / NAME / (file if isinstance(file, str) else file.name)
        assert bundled.read_bytes() == (run / file).read_bytes()
    assert (out / NAME / 'config.py').read_text() == results['config_text']

    full, weights = load(run / 'epoch_1.pth'), load(out / entry['weights'])
    assert weights.keys() == {'meta', 'state_dict'} and 'cfg' not in weights['meta']
    known, given = full['meta']['dataset_meta'], weights['meta']['dataset_meta']
    assert list(given['classes']) == list(known['classes'])
    assert given['class_counts'] == known['class_counts']
    needed = {key for key in full['state_dict'] if key.startswith(('backbone.', 'head.'))}
    assert needed <= weights['state_dict'].keys()
    for key, value in weights['state_dict'].items():
        assert torch.equal(value, full['state_dict'][key]), key


def test_zip(run, tmp_path):
    release.main([str(run), '--out', str(tmp_path / 'release.zip')])
    with zipfile.ZipFile(tmp_path / 'release.zip') as parts:
        assert parts.testzip() is None
        assert {'index.json', 'SHA256SUMS', f'{NAME}/results.json'} <= set(parts.namelist())
    with pytest.raises(SystemExit, match='is there already'):
        release.main([str(run), '--out', str(tmp_path / 'release.zip')])


def change(file, **values):
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.mark.parametrize('damage, message', [
    (shutil.rmtree, 'no results.json of a finished training'),
    (lambda folder: (folder / 'results.json').write_text('{"ep'), 'no results.json'),
    (lambda folder: change(folder / 'results.json', final=None), 'no final figures'),
    (lambda folder: (folder / 'epoch_1.pth').unlink(), 'no whole checkpoint'),
    (lambda folder: (folder / 'epoch_1.pth').write_bytes(b'PK\x03\x04'), 'no whole checkpoint'),
    (lambda folder: change(folder / 'results.json', iterations=70),
     'epoch_1.pth is 7 iterations far, results.json 70'),
    (lambda folder: next(folder.glob('*/*.log')).unlink(), 'has no log'),
])
def test_incomplete_runs_are_refused(damage, message, copy, run, tmp_path):
    damage(copy)
    with pytest.raises(SystemExit, match=message) as said:
        release.main([str(copy), str(run), str(tmp_path / 'none'), '--out', str(tmp_path / 'out')])
    lines = str(said.value).splitlines()
    assert len(lines) == 3 and str(copy) in lines[0] and lines[1].startswith(f'{tmp_path}/none')
    assert not (tmp_path / 'out').exists()


def test_runs_of_the_same_name_are_refused(copy, run, tmp_path):
    with pytest.raises(SystemExit, match=f'several runs are a {NAME}'):
        release.main([str(copy), str(run), '--out', str(tmp_path / 'out')])
