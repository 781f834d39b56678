"""mim train, test and search with the wheel of this package, in an environment of its own."""

import shutil
import subprocess
import sys

import pytest

from tests.runs import ROOT
from tests.stock_tools.shell import ONEDL, environment, install, type_in
from tests.stock_tools.table import COMMANDS, TROUBLES

pytestmark = pytest.mark.slow
SHORT = '--cfg-options train_cfg.max_epochs=1 default_hooks.checkpoint.interval=1'
CHECKPOINT = 'work_dirs/rescom_tiny_digits-lt/epoch_1.pth'


@pytest.fixture(scope='module')
def checkout(tmp_path_factory):
    """What goes into a wheel, to be built where nothing else is written to."""
    folder = tmp_path_factory.mktemp('build') / 'checkout'
    for part in ('configs', 'rescom_mm', 'tools'):
        shutil.copytree(ROOT / part, folder / part,
                        ignore=shutil.ignore_patterns('__pycache__', '.mim'))
    for file in ('README.md', 'model-index.yml', 'pyproject.toml', 'setup.py'):
        shutil.copy(ROOT / file, folder)
    return folder


@pytest.fixture(scope='module')
def wheel(checkout):
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps',
                    '--no-build-isolation', '-w', checkout.parent, checkout], check=True)
    shutil.rmtree(checkout / 'build')  # onedl-mim would find each config twice
    return next(checkout.parent.glob('*.whl'))


def mim(folder, python, name, more='', **options):
    return type_in(folder, f'{COMMANDS[name]} {more}', python=python, pythonpath='',
                   CHECKPOINT=CHECKPOINT, **options)


def check(folder, python):
    """All three commands of the page."""
    assert 'finished successfully' in mim(folder, python, 'mim train', SHORT)[0]
    assert (folder / CHECKPOINT).is_file()
    said, _ = mim(folder, python, 'mim test')
    assert 'finished successfully' in said and 'calibration/ece' in said
    found, _ = mim(folder, python, 'mim search')
    assert 'config id: rescom_r50_inat18' in found and 'imagenet-lt' in found


def test_openmim(wheel, tmp_path):
    python = environment(tmp_path / 'fresh', 'openmim==0.3.9', dependencies=True)
    install(tmp_path / 'fresh', wheel)
    check(tmp_path, python)


def test_onedl_mim(wheel, checkout, tmp_path):
    """onedl-mim does not find what a wheel of this package holds. With it, install the checkout
    (`pip install -e .`), or train with mmpretrain's tool: `mim train onedl-mmpretrain CONFIG_FILE
    --gpus 0`."""
    python = environment(tmp_path / 'fresh', 'onedl-mim==0.5.1', dependencies=True)
    install(tmp_path / 'fresh', wheel)
    said, code = mim(tmp_path, python, 'mim search', check=False)
    assert code != 0 and TROUBLES['mim'].symptom in said
    if ONEDL:
        config = next((tmp_path / 'fresh').glob(
            'lib/python*/site-packages/rescom_mm/.mim/configs/rescom/rescom_tiny_digits-lt.py'))
        said, _ = type_in(tmp_path, f'mim train onedl-mmpretrain {config} --gpus 0 {SHORT} '
                          '--work-dir other', python=python, pythonpath='')
        assert 'finished successfully' in said and (tmp_path / 'other' / 'epoch_1.pth').is_file()
    install(tmp_path / 'fresh', '--no-build-isolation', '-e', checkout)
    check(tmp_path, python)
