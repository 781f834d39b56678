"""The results page holds what the files hold, and says where nothing was measured."""

import json
import shutil

import pytest

from rescom_mm.apis import results_page
from tests.runs import ROOT


def run(seed, figure, **changes):
    results = dict(
        config='rescom_r32_cifar100-lt-if100.py', command='/x/y/tools/train.py '
        '/x/y/configs/rescom/rescom_r32_cifar100-lt-if100.py --work-dir /tmp/somewhere',
        commit='a' * 40, versions=dict(torch='2.13.0'), seed=seed, epochs=18, iterations=1512,
        hardware=dict(cpu='a CPU', cores=2, gpus=[]), wall_time_s=1800.0,
        batch_size=dict(per_process=128, processes=1), per_class_accuracy=[1.0],
        last={'shot/all': figure, 'shot/many': 60.0, 'shot/medium': 30.0, 'calibration/ece': 4.5},
        best_on_evaluation_set=dict(key='shot/all', value=figure + 1, epoch=17), history=[1] * 99)
    return {**results, **changes}


@pytest.fixture
def docs(tmp_path):
    (tmp_path / 'results').mkdir()
    shutil.copy(ROOT / 'docs' / 'results' / 'published.csv', tmp_path / 'results')
    return tmp_path


def test_page(docs, tmp_path):
    for seed, figure in ((0, 30.0), (1, 32.0)):
        (tmp_path / f'{seed}.json').write_text(json.dumps(run(seed, figure)))
    results_page.main(['--docs', str(docs), '--add', str(tmp_path / '0.json'),
                       str(tmp_path / '1.json')])
    page = (docs / 'results.md').read_text()
    config = '`rescom_r32_cifar100-lt-if100`'
    assert f'| {config} | published | 53.8 | - | - | - | - | - |' in page
    # mean and standard deviation over the seeds; no few-shot figure in these runs
    assert (f'| {config} | measured, 18 epochs, 2 seeds | 31.00 ± 1.41 | 60.00 ± 0.00 | '
            '30.00 ± 0.00 | - | 4.50 ± 0.00 | 32.00 ± 1.41 |') in page
    assert '| `rescom_r50_imagenet-lt` | published | 58.7 | 68.0 | 56.6 | 38.6 | - | - |' in page
    assert '| `rescom_r50_imagenet-lt` | not run here |' in page
    assert 'python tools/train.py configs/rescom/rescom_r32_cifar100-lt-if100.py' in page
    assert '/x/y' not in page and '/tmp' not in page
    assert str(tmp_path) not in ''.join(
        path.read_text() for path in (docs / 'results' / 'runs').iterdir())


def test_another_run_under_the_same_name_is_refused(docs, tmp_path):
    (tmp_path / 'full.json').write_text(json.dumps(run(0, 30.0)))
    (tmp_path / 'other.json').write_text(json.dumps(run(
        0, 20.0, command='tools/train.py configs/x.py --cfg-options x.batch_size=8')))
    results_page.main(['--docs', str(docs), '--add', str(tmp_path / 'full.json')])
    results_page.main(['--docs', str(docs), '--add', str(tmp_path / 'full.json')])  # the same
    with pytest.raises(SystemExit, match='made by another command'):
        results_page.main(['--docs', str(docs), '--add', str(tmp_path / 'other.json')])


def test_run_without_figures_is_refused(docs, tmp_path):
    (tmp_path / 'none.json').write_text(json.dumps(run(0, 1.0, last=None)))
    with pytest.raises(SystemExit, match='without validation'):
        results_page.main(['--docs', str(docs), '--add', str(tmp_path / 'none.json')])


def test_committed_page_is_the_files():
    assert results_page.build_page(ROOT / 'docs') == (ROOT / 'docs' / 'results.md').read_text()


def test_published_configs_exist():
    import csv
    with open(ROOT / 'docs' / 'results' / 'published.csv', newline='') as file:
        names = {row['config'] for row in csv.DictReader(file)}
    present = {path.stem for path in (ROOT / 'configs').rglob('*.py')}
    assert not names - present
