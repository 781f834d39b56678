"""The result is that of the test list, evaluated once, with the weights of the last epoch."""

import json
import shutil

import pytest
from mmengine.runner import Runner

from rescom_mm.datasets import DigitsLT
from rescom_mm.engine.hooks import results_hook
from rescom_mm.visualization.results import results_table
from tests.runs import tiny_config, train

OTHER_LIST = dict(val_dataloader__dataset__split='tune_val')
EMA = dict(default_hooks__ema=dict(type='EMAHook', momentum=0.3))


def read(folder):
    return json.loads((folder / 'results.json').read_text())


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('two_lists')
    with pytest.MonkeyPatch.context() as patch:
        commits = iter(['at the start', 'later'])
        patch.setattr(results_hook, 'git_commit', lambda: next(commits))
        train(folder, **OTHER_LIST, **EMA)
    return folder


@pytest.mark.stack
def test_final_figures_are_those_of_the_test_list(trained, tmp_path):
    results = read(trained)
    assert results['final']['list'] == 'test' and not results['one_list']
    assert results['final']['dataset'] == 'DigitsLT, split test'
    assert results['commit'] == 'at the start'  # what was trained, whatever is checked out by now
    # the checkpoint's model is EMA's, which evaluates
    tested = Runner.from_cfg(tiny_config(tmp_path, load_from=str(trained / 'epoch_2.pth'),
                                         **OTHER_LIST)).test()
    assert results['final']['figures'] == pytest.approx(tested)
    assert sum(results['per_class_accuracy']) / 10 == pytest.approx(tested['shot/all'])
    # the val list's stand beside, labelled
    assert [entry['epoch'] for entry in results['history']] == [1, 2]
    assert results['last'] == results['history'][-1]
    assert results['last']['shot/all'] != results['final']['figures']['shot/all']
    table = results_table(results)
    assert 'Last epoch (2), test list (DigitsLT, split test)' in table
    assert f'all                      10           431  {tested["shot/all"]:10.2f}' in table
    assert f'(val list, last epoch: shot/all {results["last"]["shot/all"]:.2f})' in table
    assert 'chosen on the val list: best shot/all' in table


def test_a_finished_run_that_is_resumed_gives_the_same(trained, tmp_path):
    shutil.copy(trained / 'epoch_2.pth', tmp_path / 'epoch_2.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    train(tmp_path, resume=True, **OTHER_LIST, **EMA)
    for key in ('final', 'last', 'history', 'per_class_accuracy', 'best_on_evaluation_set'):
        assert read(tmp_path)[key] == read(trained)[key], key


def test_one_list_is_evaluated_once(tmp_path, monkeypatch):
    """Its last validation is the result; options that leave the images alone make no other."""
    loaded = []
    load = DigitsLT.load_data_list
    monkeypatch.setattr(DigitsLT, 'load_data_list',
                        lambda self: (loaded.append(self.split), load(self))[1])
    train(tmp_path, epochs=1, test_dataloader__dataset__lazy_init=False)
    results = read(tmp_path)
    assert sorted(loaded) == ['test', 'train']
    assert results['final']['list'] == 'test' and results['one_list']
    figures = {name: value for name, value in results['last'].items()
               if name not in ('epoch', 'iter')}
    assert results['final']['figures'] == figures
    assert 'chosen on the test list, which is the val list' in results_table(results)


def test_without_validation(tmp_path):
    cfg = tiny_config(tmp_path, epochs=1)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    Runner.from_cfg(cfg).train()
    results = read(tmp_path)
    assert results['final']['list'] == 'test' and results['final']['figures']['shot/all'] >= 0
    assert results['last'] is None and results['history'] == []
    assert len(results['per_class_accuracy']) == 10
    assert 'test list' in results_table(results)
    cfg = tiny_config(tmp_path / 'neither', epochs=1)
    for name in ('val', 'test'):
        cfg[f'{name}_cfg'] = cfg[f'{name}_dataloader'] = cfg[f'{name}_evaluator'] = None
    Runner.from_cfg(cfg).train()
    assert read(tmp_path / 'neither')['final'] is None
    assert 'no accuracy' in results_table(read(tmp_path / 'neither'))


def test_a_missing_test_list_is_said_before_training(tmp_path, monkeypatch):
    missing = dict(test_dataloader__dataset=dict(
        _delete_=True, type='CustomDataset', data_root=str(tmp_path / 'nowhere'), pipeline=[]))
    runner = Runner.from_cfg(tiny_config(tmp_path, epochs=1, **missing))
    said = []
    monkeypatch.setattr(runner.logger, 'warning', lambda text: said.append((runner.iter, text)))
    runner.train()
    (done, text), = [entry for entry in said if 'test list cannot be read' in entry[1]]
    assert done == 0 and 'nowhere' in text and 'set test_dataloader.dataset' in text
    assert read(tmp_path)['final']['list'] == 'val'
    assert 'val list (DigitsLT' in results_table(read(tmp_path))


def test_a_broken_test_list_leaves_what_the_training_gave(tmp_path, monkeypatch):
    runner = Runner.from_cfg(tiny_config(tmp_path, epochs=1, **OTHER_LIST))

    def fail():
        raise OSError('image file is truncated')

    monkeypatch.setattr(runner.test_loop, 'run', fail)
    with pytest.raises(OSError, match='truncated'):
        runner.train()
    results = read(tmp_path)
    assert results['final'] is None and results['per_class_accuracy'] is None
    assert results['last']['shot/all'] >= 0 and len(results['curves']['loss']) == 7
