"""The results page holds what the files hold, and says where nothing was measured."""

import csv
import json
import shutil

import pytest
from mmengine.config import Config

from rescom_mm.apis import results_page
from rescom_mm.apis.benchmarks import Benchmarks
from rescom_mm.apis.result_runs import take_in
from tests.runs import ROOT

NAME = 'rescom_r32_cifar100-lt-if100'


@pytest.fixture(scope='module')
def benchmarks():
    return Benchmarks()


@pytest.fixture
def docs(tmp_path):
    (tmp_path / 'docs' / 'results').mkdir(parents=True)
    shutil.copy(ROOT / 'docs' / 'results' / 'published.csv', tmp_path / 'docs' / 'results')
    return tmp_path / 'docs'


def results(seed=0, figure=30.0, config=NAME, options=None, **changes):
    """A results.json of a run of 20 epochs, as a machine with paths of its own writes it."""
    path = next((ROOT / 'configs').rglob(f'{config}.py'))
    cfg = Config.fromfile(path)
    cfg.merge_from_dict({
        'train_cfg.max_epochs': 20, 'work_dir': '/x/y/work', 'launcher': 'pytorch',
        'randomness.seed': seed, 'train_dataloader.dataset.data_root': '/x/y/cifar',
        'train_dataloader.num_workers': 1, 'train_dataloader.persistent_workers': False,
        'train_dataloader.collate_fn': dict(type='default_collate'), **(options or {})})
    last = {'shot/all': figure, 'shot/many': 60.0, 'shot/medium': 30.0, 'calibration/ece': 4.5}
    found = dict(
        config=path.name, experiment='x', config_text=cfg.pretty_text,
        command=f'/x/y/tools/train.py /x/y/configs/rescom/{path.name} --work-dir /tmp/somewhere '
        '--cfg-options train_dataloader.dataset.data_root=/x/y/cifar train_cfg.max_epochs=20',
        commit='a' * 40, versions=dict(torch='2.13.0'), seed=seed, epochs=20, iterations=1680,
        hardware=dict(cpu='a CPU', cores=2, torch_threads=1, gpus=[]), wall_time_s=1800.0,
        batch_size=dict(per_process=128, processes=1), per_class_accuracy=[1.0],
        last=dict(epoch=20, iter=1680, **last), one_list=True,
        final=dict(list='test', dataset='CIFAR100LT, split test, /x/y/cifar', figures=last),
        best_on_evaluation_set=dict(key='shot/all', value=figure + 1, epoch=17),
        history=[dict(epoch=e, iter=84 * e, **{'shot/all': figure * e / 20, 'shot/few': e / 2})
                 for e in range(1, 21)],
        curves=dict(loss=[[4 * i, 9.0] for i in range(1, 421)],
                    loss_cls=[[4 * i, 5 - i / 100] for i in range(1, 421)],
                    loss_con=[[4 * i, 4.0] for i in range(1, 421)]))
    return {**found, **changes}


@pytest.fixture
def add(docs, benchmarks, tmp_path):
    """Takes runs in; returns what was said and the page."""
    def take(*runs):
        said = []
        for run in runs:
            (tmp_path / 'results.json').write_text(json.dumps(run))
            said.append(take_in(tmp_path / 'results.json', docs / 'results' / 'runs', benchmarks))
        return '\n'.join(said), results_page.Page(docs, benchmarks).text()
    return take


def files(docs):
    return sorted(path.name for path in (docs / 'results' / 'runs').iterdir())


def test_page(docs, add, benchmarks):
    add(results(0, 30.0), results(1, 32.0))
    results_page.write_page(docs, benchmarks)
    page = (docs / 'results.md').read_text()
    # mean and standard deviation over the seeds; no few-shot figure in these runs
    assert (f'| `{NAME}` | 53.8 | [measurement 1](#measurement-1): 20 of 400 epochs, 2 seeds, '
            'test list, 1 change | 31.00 ± 1.41 | 60.00 ± 0.00 | 30.00 ± 0.00 | - | 4.50 ± 0.00 | '
            '32.00 ± 1.41 |') in page
    assert '| `rescom_r50_imagenet-lt` | 58.7 (68.0 / 56.6 / 38.6) | not run here |\n' in page
    assert '- `train_cfg.max_epochs`: `400` to `20`' in page and page.count('` to `') == 1
    assert '- Measurement 1: 20 of 400 epochs: a check of the pipeline and the curves' in page
    assert 'ranks nothing' not in page
    for seed, figure in ((0, 30), (1, 32)):
        assert (f'| {seed} | {figure}.00 | 30.0 | 1 x 128 | a CPU, 2 cores, 1 threads | 2.13.0 | '
                'aaaaaaaaaa |') in page
    assert ('\npython tools/train.py configs/rescom/rescom_r32_cifar100-lt-if100.py --work-dir '
            'somewhere --cfg-options train_dataloader.dataset.data_root=cifar '
            'train_cfg.max_epochs=20\n') in page
    everything = page + ''.join(path.read_text()
                                for path in (docs / 'results' / 'runs').iterdir())
    assert '/x/y' not in everything and '/tmp' not in everything
    # the picture stands in each section that has the run, and nowhere else
    pictures = {path.name for path in (docs / 'results').glob('*.png')}
    assert pictures == {'cifar-100-lt.png', 'ablation-ladder-on-cifar-100-lt.png'}
    assert all(page.count(f'(results/{name})') == 1 for name in pictures)
    run = json.loads((docs / 'results' / 'runs' / files(docs)[0]).read_text())
    assert run['history'][-1]['epoch'] == 20 and run['history'][-1]['shot/all'] == 30.0
    assert len(run['curves']['loss_cls']) <= 100 and run['curves']['loss_cls'][-1][0] == 1680
    assert run['curves']['loss_cls'][0] == [20, 4.97]  # the mean of 5 points


def test_every_benchmark_config_has_a_row(add, docs):
    (docs / 'results' / 'runs').mkdir()
    _, page = add()
    names = {path.stem for folder in ('rescom', 'baselines', 'ablation')
             for path in (ROOT / 'configs' / folder).glob('*.py') if 'custom' not in path.stem}
    for name in names:
        assert f'| `{name}`' in page, name
    assert 'custom' not in page
    ladder = page.split('## Ablation ladder on ImageNet-LT')[1].split('##')[0].strip()
    assert ladder.splitlines()[-1] == ('| `rescom_r50_imagenet-lt` | 58.7 (68.0 / 56.6 / 38.6) | '
                                       'not run here |')
    assert 'Other configs' not in page


def test_equal_configs_share_their_figures(add, benchmarks, docs):
    same = {name: first for name, first in benchmarks.same.items() if name != first}
    cbl = 'supcon-cbl-balsfx_r50_imagenet-lt'
    assert {name: same.get(name) for name in (
        'spm-k4-p1-n500_rx50_imagenet-lt', 'queue-fifo_r50_imagenet-lt',
        'beta-0.999_r50_imagenet-lt', 'beta-0.99_r50_imagenet-lt')} == {
            'spm-k4-p1-n500_rx50_imagenet-lt': 'rescom_rx50_imagenet-lt',
            'queue-fifo_r50_imagenet-lt': cbl, 'beta-0.999_r50_imagenet-lt': cbl,
            'beta-0.99_r50_imagenet-lt': None}
    batch = dict(per_process=32, processes=8)
    _, page = add(results(0, 41.0, 'queue-fifo_r50_imagenet-lt', batch_size=batch),
                  results(1, 43.0, cbl, batch_size=batch))
    assert len(files(docs)) == 2 and all(cbl in name for name in files(docs))
    rows = [line for line in page.splitlines()
            if line.startswith('|') and '42.00 ± 1.41' in line]
    assert [line.split(' | ')[:2] for line in rows] == [
        [f'| `{cbl}`', '57.2'],
        [f'| `queue-fifo_r50_imagenet-lt` (same experiment as `{cbl}`)', '-'],
        [f'| `beta-0.999_r50_imagenet-lt` (same experiment as `{cbl}`)', '-']]


def test_published_figures_of_equal_configs_agree(benchmarks):
    with open(ROOT / 'docs' / 'results' / 'published.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert {row['config'] for row in rows} <= set(benchmarks.configs)
    figures = {}
    for row in rows:
        first = benchmarks.same[row['config']]
        assert figures.setdefault(first, row['all']) == row['all'], row


def test_changed_runs_are_not_averaged_with_others(add, docs):
    half = dict(options={'model.contrastive_loss.loss_weight': 0.25})
    _, page = add(results(0, 30.0), results(0, 10.0, **half),
                  results(0, 20.0, batch_size=dict(per_process=128, processes=2)),
                  results(1, 25.0, final=dict(list='val', figures={'shot/all': 25.0})),
                  results(0, 50.0, epochs=400, options={'train_cfg.max_epochs': 400}))
    rows = [line for line in page.split('## CIFAR-10-LT')[0].splitlines()
            if line.startswith(f'| `{NAME}`')]
    figures = [row.split(' | ')[3] for row in rows]
    assert figures[0] == '50.00'  # the longest first
    assert sorted(figures[1:5]) == ['10.00', '20.00', '25.00', '30.00']
    assert sum('val list' in row for row in rows[:5]) == 1
    assert '- `model.contrastive_loss.loss_weight`: `0.5` to `0.25`' in page
    assert '- `global batch size`: `128` to `256`' in page
    assert '- Measurement 1: one seed: ranks nothing.' in page
    assert '400 epochs, 1 seed, test list | 50.00' in page
    assert f'{NAME}_400e_seed0.json' in files(docs)  # nothing changed: no hash


@pytest.mark.parametrize('launcher, typed', [
    ('pytorch', 'tools/dist_train.sh configs/rescom/x.py 8 --amp'),
    ('slurm', 'GPUS=8 tools/slurm_train.sh PARTITION JOB configs/rescom/x.py --amp')])
def test_command_of_several_processes_is_the_one_that_was_typed(add, launcher, typed):
    command = f'/x/y/tools/train.py configs/rescom/x.py --launcher {launcher} --amp'
    _, page = add(results(command=command, batch_size=dict(per_process=16, processes=8),
                          hardware=dict(cpu='a CPU', cores=2, gpus=['A'] * 4)))
    assert f'\n{typed}\n' in page and '| 8 x 16 | 8 x A |' in page


def test_what_replaces_a_run(add, docs):
    said, _ = add(results())
    assert said.endswith('_seed0_' + said[-13:-5] + '.json')
    said, _ = add(results(figure=31.0, commit='b' * 40))  # the same command, repeated
    assert f'in place of a run of commit {"a" * 40} with other figures' in said
    other = 'tools/train.py x.py --cfg-options train_dataloader.num_workers=8'
    said, _ = add(results(figure=31.0, command=other))
    assert 'in place of the same figures by: python tools/train.py configs/rescom' in said
    with pytest.raises(SystemExit, match='made by another command'):
        add(results(figure=32.0))
    assert len(files(docs)) == 1


@pytest.mark.parametrize('given, message', [
    (dict(final=None), 'no final figures'),
    (dict(config='mine.py'), r'no benchmark config mine\.py'),
    (dict(config=None), 'no benchmark config None')])
def test_runs_that_are_refused(add, given, message):
    with pytest.raises(SystemExit, match=message):
        add({**results(), **given})


def test_a_config_that_changed_since_is_said(add, docs, benchmarks):
    _, page = add(results())
    assert 'has changed since' not in page
    file = docs / 'results' / 'runs' / files(docs)[0]
    file.write_text(file.read_text().replace(benchmarks.configs[NAME].digest, '00000000'))
    assert 'The config has changed since seed 0 was taken in.' in add()[1]


def test_committed_page_is_the_files(benchmarks):
    page = results_page.Page(ROOT / 'docs', benchmarks).text()
    assert page == (ROOT / 'docs' / 'results.md').read_text()
