"""Options of the tools, and what they say when something is not there."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import rescom_mm  # noqa: F401
from rescom_mm.apis import compare, test, train
from tests.runs import ROOT, TINY, run_tool
from tests.standin import write_folders


def config_of(*argv):
    return train.build_config(train.parse_args([str(TINY), *argv]))


def test_train_options(tmp_path):
    checkpoint = tmp_path / 'some.pth'
    checkpoint.touch()
    cfg = config_of('--work-dir', str(tmp_path), '--amp', '--resume', str(checkpoint),
                    '--auto-scale-lr',
                    '--cfg-options', 'train_cfg.max_epochs=3')
    assert cfg.work_dir == str(tmp_path) and cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.resume and cfg.load_from == str(checkpoint) and cfg.auto_scale_lr.enable
    assert cfg.train_cfg.max_epochs == 3 and not cfg.train_dataloader.persistent_workers
    with pytest.raises(SystemExit, match=r'none\.pth does not exist'):
        config_of('--resume', 'none.pth')
    cfg = config_of('--resume', '--no-validate')
    assert cfg.resume and cfg.load_from is None and cfg.val_dataloader is None
    assert cfg.work_dir == str(Path('work_dirs') / 'rescom_tiny_digits-lt')


def test_persistent_workers(tmp_path):
    """They are, where the config doesn't say otherwise, as the quick start's does."""
    silent = tmp_path / 'silent.py'
    silent.write_text(f'''_base_ = {str(TINY)!r}
train_dataloader = dict(_delete_=True, batch_size=64, num_workers=2,
                        dataset={{{{_base_.train_dataloader.dataset}}}})
''')

    def persistent(config, *argv):
        cfg = train.build_config(train.parse_args([str(config), *argv]))
        return cfg.train_dataloader.persistent_workers

    assert persistent(silent) and not persistent(silent, '--no-persistent-workers')
    assert not persistent(silent, '--cfg-options', 'train_dataloader.num_workers=0')
    assert not persistent(TINY, '--cfg-options', 'train_dataloader.num_workers=2')


def test_test_options(tmp_path):
    checkpoint = tmp_path / 'x.pth'
    checkpoint.touch()

    def cfg(*argv):
        return test.build_config(test.parse_args([str(TINY), str(checkpoint), *argv]))

    assert cfg().load_from == str(checkpoint)
    shown = cfg('--show-dir', str(tmp_path), '--interval', '5')
    assert shown.default_hooks.visualization.out_dir == str(tmp_path)
    assert shown.default_hooks.visualization.interval == 5
    assert cfg('--tta').model.type == 'mmpretrain.AverageClsScoreTTA'
    with pytest.raises(SystemExit):
        cfg('--out-item', 'metrics')
    with pytest.raises(SystemExit):
        cfg('--out', 'predictions.json')
    with pytest.raises(SystemExit):
        test.parse_args([str(TINY), str(tmp_path / 'none.pth')])


@pytest.mark.parametrize('argv, message', [
    (['configs/none.py'], 'configs/none.py does not exist'),
    (['configs/rescom/rescom_r50_imagenet-lt.py'],
     r'train_dataloader.dataset.data_root: data/imagenet does not exist'),
    (['configs/rescom/rescom_r50_custom.py', '--cfg-options',
      'train_dataloader.dataset.data_root=configs'],
     r'train_dataloader.dataset.data_prefix: configs/train does not exist'),
])
def test_missing_files_name_the_key(argv, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit, match=message):
        train.build_config(train.parse_args(argv))


def test_data_that_is_downloaded_may_be_missing(tmp_path):
    config = tmp_path / 'cifar.py'
    config.write_text('''
train_dataloader = dict(dataset=dict(
    type='LongTailedDataset', imbalance_factor=100,
    dataset=dict(type='CIFAR10', data_root='nowhere', split='train')))
''')
    train.build_config(train.parse_args([str(config)]))


def test_misspelt_option_ends_in_one_clear_error(tmp_path):
    done = run_tool('tools/train.py', TINY, '--work-dir', tmp_path, '--cfg-options',
                    'model.contrastive_loss.temprature=0.1', check=False)
    assert done.returncode != 0
    last = done.stdout.strip().splitlines()[-1]
    assert 'SPMLoss has no option `temprature` (given: 0.1). Did you mean `temperature`?' in last


def test_every_tool_runs_as_a_script():
    tools = [str(path.relative_to(ROOT)) for path in sorted((ROOT / 'tools').rglob('*.py'))
             if '__main__' in path.read_text()]
    assert {'tools/train.py', 'tools/data/split.py', 'tools/data/inspect.py'} <= set(tools)
    done = run_tool('-c', f"""
import os, runpy, sys
paths = sys.path[1:]
for tool in {tools}:  # in one process: to import the package takes longest
    sys.argv, sys.path[:] = [tool, '--help'], [os.path.dirname(tool), *paths]
    try:
        runpy.run_path(tool, run_name='__main__')
    except SystemExit as end:
        assert not end.code, tool
""")
    assert len(re.findall('(?im)^usage: ', done.stdout)) == len(tools)


def test_no_tool_takes_its_neighbour_for_a_module_of_python(monkeypatch):
    """tools/data/inspect.py is in the way of ``import inspect``, which torch does."""
    for file in (ROOT / 'tools' / 'data').glob('*.py'):
        monkeypatch.setattr(sys, 'path', [str(file.parent), *sys.path])
        exec(file.read_text().split('import rescom_mm')[0], dict(__file__=str(file)))
        assert str(file.parent) not in sys.path, file.name


@pytest.mark.parametrize('script, operands', [('dist_train.sh', 2), ('dist_test.sh', 3),
                                              ('slurm_train.sh', 3), ('slurm_test.sh', 4)])
def test_launch_scripts_explain_themselves(script, operands):
    for given in (operands - 1, 0):
        done = subprocess.run(['bash', f'tools/{script}', *['x'] * given], cwd=ROOT, text=True,
                              capture_output=True)
        assert done.returncode == 2 and f'tools/{script}' in done.stderr


def test_launch_scripts_return_the_exit_code_and_pass_options_on(tmp_path):
    """With a stand-in for Python and srun that prints its arguments and ends with 7."""
    for name in ('python', 'srun'):
        (tmp_path / name).write_text('#!/bin/sh\nfor a in "$@"; do echo "<$a>"; done\nexit 7\n')
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'}

    def launch(script, *argv, **extra):
        done = subprocess.run(['bash', f'tools/{script}', *argv], cwd=ROOT, text=True,
                              capture_output=True, env={**env, **extra})
        assert done.returncode == 7
        return done.stdout

    said = launch('dist_train.sh', 'a config.py', '3', '--cfg-options', 'x=[1, 2]')
    for part in ('launch.py>\n<3>\n<', 'train.py>\n<a config.py>', '<pytorch>', '<x=[1, 2]>'):
        assert part in said
    said = launch('dist_test.sh', 'c.py', 'w.pth', '2')
    assert 'launch.py>\n<2>\n<' in said and 'test.py>\n<c.py>\n<w.pth>' in said
    said = launch('slurm_train.sh', 'part', 'job', 'c.py', '--amp', GPUS='4')
    for part in ('<part>', '<--job-name=job>', '<--ntasks=4>', '<--gres=gpu:4>', '<c.py>',
                 '<slurm>', '<--amp>'):
        assert part in said


@pytest.fixture
def one_process(monkeypatch):
    """The first training of compare.py in a process of its own, the others in this one."""
    lock, real, commands = threading.Lock(), subprocess.run, []

    def run(command, **options):
        commands.append(command)
        if len(commands) == 1:
            return real(command, **options)
        with lock:
            train.main(command[2:])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(compare, 'subprocess', SimpleNamespace(run=run, STDOUT=subprocess.STDOUT))
    return commands


def test_compare(tmp_path, capsys, one_process):
    page = tmp_path / 'page.md'
    page.write_text('before\n<!-- few -->\nold\n<!-- /few -->\nafter\n')
    argv = [str(ROOT / 'configs/baselines/ce_tiny_digits-lt.py'), str(TINY), '--seeds', '2',
            '--jobs', '2', '--work-dir', str(tmp_path), '--out', str(tmp_path / 'few.json'),
            '--markdown', str(page), '--cfg-options', 'train_cfg.max_epochs=1']
    compare.main(argv)
    assert len(one_process) == 4
    said = capsys.readouterr().out
    assert '[4/4]' in said and 'min left' in said
    text = page.read_text()
    assert text.startswith('before\n') and text.endswith('after\n') and 'old' not in text
    assert '| `ce_tiny_digits-lt` |' in text and 'tools/compare.py' in text
    summary = json.loads((tmp_path / 'few.json').read_text())
    row = summary['methods']['ce_tiny_digits-lt']['shot/all']
    reference = summary['methods']['rescom_tiny_digits-lt']['shot/all']['values']
    difference = np.subtract(row['values'], reference)
    assert row['minus_reference']['mean'] == pytest.approx(difference.mean())
    # t of one degree of freedom: 12.706 standard errors
    assert row['minus_reference']['high'] - difference.mean() == pytest.approx(
        12.7062 * difference.std(ddof=1) / np.sqrt(2), rel=1e-4)
    runs = [json.loads((tmp_path / TINY.stem / f'seed{seed}' / 'results.json').read_text())
            for seed in (0, 1)]
    assert [run['seed'] for run in runs] == [0, 1]
    assert 'seed=1' in runs[1]['config_text']  # the data set's too
    with pytest.raises(RuntimeError, match='another config or other --cfg-options'):
        compare.main([*argv, 'randomness.deterministic=True'])


def test_own_images_in_folders(tmp_path, capsys):
    """The README's way: inherit a config, point it at folders."""
    write_folders(tmp_path / 'birds' / 'train', crow=9, owl=5, wren=2)
    write_folders(tmp_path / 'birds' / 'test', crow=2, owl=2, wren=2)
    birds = str(tmp_path / 'birds')
    (tmp_path / 'birds.py').write_text(f'''
_base_ = {str(ROOT / 'configs/rescom/rescom_r50_custom.py')!r}
train_dataloader = dict(dataset=dict(data_root={birds!r}), batch_size=4, num_workers=0,
                        persistent_workers=False)
val_dataloader = dict(dataset=dict(data_root={birds!r}), num_workers=0, persistent_workers=False)
model = dict(backbone=dict(depth=18), head=dict(num_classes=3))
train_cfg = dict(max_epochs=1)
''')
    argv = [str(tmp_path / 'birds.py'), '--work-dir']
    train.main([*argv, str(tmp_path / 'run')])
    assert 'class wren' in capsys.readouterr().out
    assert (tmp_path / 'run' / 'results.png').is_file()
    (tmp_path / 'birds' / 'test' / 'wren').rename(tmp_path / 'birds' / 'test' / 'zebra finch')
    with pytest.raises(ValueError, match='labels would shift') as error:
        train.main([*argv, str(tmp_path / 'run2')])
    assert '\n' not in str(error.value)


def test_cpu_processes_leave_their_group(tmp_path):
    """Else a thread of gloo's may abort the interpreter at its end, when all is done."""
    script = tmp_path / 'script.py'
    script.write_text('''
import atexit, torch
import rescom_mm
from mmengine.config import ConfigDict
from rescom_mm.apis.cli import init_cpu_processes
torch.cuda.is_available = lambda: False
# what is registered first is called last
atexit.register(lambda: print('at the end', torch.distributed.is_initialized()))
init_cpu_processes(ConfigDict(launcher='pytorch'))
print('before', torch.distributed.is_initialized())
''')
    said = run_tool(script, cwd=tmp_path, env=dict(
        RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1', MASTER_PORT='0',
        PYTHONPATH=str(ROOT))).stdout
    assert 'before True' in said and 'at the end False' in said, said
