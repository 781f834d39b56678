"""What mmpretrain's tools cannot do by a fault of their own, or cannot see, and the way round.

The first paragraph of a docstring is what docs/stock_tools.md says.
"""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from tests.images import write_folders
from tests.runs import ROOT, TINY, load
from tests.stock.parts import GLOO
from tests.stock_tools.shell import ONEDL, environment, figure, tool, type_in
from tests.stock_tools.table import COMMANDS, TROUBLES

pytestmark = pytest.mark.slow


def fails(trouble, name, folder, command=None, **options):
    """The tool ends with the symptom that docs/troubleshooting.md names."""
    said, code = type_in(folder, command or COMMANDS[name], check=False, **options)
    assert code != 0 and TROUBLES[trouble].symptom in said, said[-3000:]


def test_torchvision(folder):
    """Beside a torchvision that does not fit torch, `with_rescom` in the place of `python`."""
    if subprocess.run([sys.executable, '-c', 'import torchvision'], capture_output=True,
                      check=False).returncode == 0:
        pytest.skip('torchvision fits torch here')
    command = COMMANDS['analysis_tools/confusion_matrix.py']
    fails('nms', None, folder, command, pythonpath=ROOT)
    type_in(folder, command.replace('python', 'with_rescom', 1), pythonpath=ROOT)
    assert (folder / 'confusion.png').is_file()


def test_no_workers(folder):
    """Add `--no-persistent-workers` where a config of yours has `num_workers=0` and does not say
    `persistent_workers=False`, as ours do."""
    (folder / 'mine.py').write_text(f'''
_base_ = {str(TINY)!r}
train_dataloader = dict(_delete_=True, batch_size=64, num_workers=0,
                        sampler=dict(type='DefaultSampler', shuffle=True),
                        dataset={{{{_base_.train_dataloader.dataset}}}})
train_cfg = dict(max_epochs=1)
''')
    fails('workers', 'train.py', folder, CONFIG='mine.py')
    tool('train.py', folder, '--no-persistent-workers', CONFIG='mine.py')
    assert (folder / 'work_dirs' / 'mine' / 'results.json').is_file()


@pytest.mark.skipif(torch.cuda.is_available(), reason='only without a GPU')
def test_distributed_without_gpus(trained, folder):
    """Needs GPUs (not run with any: the test puts gloo in their place). Without them,
    `tools/dist_test.sh` of this package does the same."""
    options = dict(GPUS=2, PORT=29713, CHECKPOINT=trained.checkpoint)
    fails('no CUDA', 'dist_test.sh', folder, **options)
    ours = COMMANDS['dist_test.sh'].replace('$TOOLS', str(ROOT / 'tools'))
    wanted = f'{trained.figures["shot/all"]:.2f}'
    assert wanted in type_in(folder, ours, **options)[0]

    (folder / 'gloo.py').write_text(GLOO)
    (folder / 'with_gloo.py').write_text(f'''
_base_ = {str(TINY)!r}
custom_imports = dict(imports=['rescom_mm', 'gloo'])
model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
''')
    said, _ = tool('dist_test.sh', folder, **options, CONFIG='with_gloo.py')
    assert f'shot/all: {wanted}' in said


def test_metrics_of_this_package(trained, folder):
    """It takes no config and so knows no ShotAccuracy: `with_rescom
    $TOOLS/analysis_tools/eval_metric.py predictions.pkl --metric type=ShotAccuracy
    class_counts=...`, with the numbers that `results.json` has under `class_counts.images`."""
    command = ('python $TOOLS/analysis_tools/eval_metric.py predictions.pkl '
               '--metric type=ShotAccuracy class_counts=$COUNTS')
    results = json.loads((trained.folder / 'results.json').read_text())
    counts = ','.join(map(str, results['class_counts']['images']))
    fails('metric', None, folder, command, COUNTS=counts)
    said, _ = type_in(folder, command.replace('python', 'with_rescom'), COUNTS=counts)
    for name in ('all', 'many', 'medium', 'few'):
        assert figure(said, f'shot/{name}') == pytest.approx(trained.figures[f'shot/{name}'])


def test_name_of_a_config(folder):
    """It knows no names of our configs, only their paths (or `with_rescom` in the place of
    `python`)."""
    options = dict(CONFIG='rescom_tiny_digits-lt')
    fails('name', 'analysis_tools/get_flops.py', folder, **options)
    command = COMMANDS['analysis_tools/get_flops.py'].replace('python', 'with_rescom')
    assert 'Flops:' in type_in(folder, command, **options)[0]


@pytest.mark.skipif(ONEDL, reason='a fault of the original stack')
def test_tsne_of_new_scikit_learn(trained, folder):
    """With the original stack it needs `pip install "scikit-learn<1.7"`."""
    fails('n_iter', 'visualization/vis_tsne.py', folder, CHECKPOINT=trained.checkpoint)


def test_cam_without_grad_cam(trained, folder):
    """It needs `pip install -e ".[tools]"`."""
    (folder / 'pytorch_grad_cam.py').write_text('raise ImportError')  # as if it were not there
    fails('no grad-cam', 'visualization/vis_cam.py', folder, CHECKPOINT=trained.checkpoint)


@pytest.mark.skipif(ONEDL, reason='a fault of the original stack')
def test_cam_of_new_grad_cam(trained, folder):
    """With the original stack it needs `pip install "grad-cam<1.5"`."""
    python = environment(folder / 'fresh', 'ttach', 'tqdm', 'grad-cam>=1.5')
    (folder / 'one.py').write_text(ONE_FILE)
    fails('use_cuda', 'visualization/vis_cam.py', folder, python=python, CONFIG='one.py',
          CHECKPOINT=trained.checkpoint)


ONE_FILE = f'''
_base_ = {str(TINY)!r}
test_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImage'), dict(type='PackInputs')]))
'''


def test_cam_of_an_image_file(trained, folder, stock_packages):
    """Works with configs whose images are files. Those of Digits-LT and CIFAR lie in memory: give
    it a config of two lines, `_base_ = 'CONFIG'` and
    `test_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImage'),
    dict(type='PackInputs')]))`."""
    options = dict(CHECKPOINT=trained.checkpoint, python=stock_packages)
    fails('inputs', 'visualization/vis_cam.py', folder, **options)
    (folder / 'one.py').write_text(ONE_FILE)
    tool('visualization/vis_cam.py', folder, **options, CONFIG='one.py')
    assert Image.open(folder / 'cam.png').size == (8, 8)


def test_verify_dataset(folder):
    """It looks for LoadImageFromFile and does not know our LoadImage: the option above puts that
    one there."""
    paths = write_folders(folder / 'data' / 'train', (3, 3), np.random.default_rng(0))
    paths[1][2].write_bytes(b'no image')
    options = dict(CONFIG=ROOT / 'configs' / 'rescom' / 'rescom_r50_custom.py')
    command = COMMANDS['misc/verify_dataset.py']
    root = f' train_dataloader.dataset.data_root={folder / "data"}'
    before, _, _ = command.partition('train_dataloader')
    fails('verify', None, folder, before + root, **options)
    tool('misc/verify_dataset.py', folder, root, **options)
    assert (folder / 'broken.txt').read_text().split() == [str(paths[1][2])]


def test_publish(trained, folder):
    """By itself torch refuses the log that mmengine's checkpoints hold; with the variable it runs
    what a file tells it to, so give it your own checkpoints only. The file keeps projector, queue
    and what `--resume` reads, the optimiser left out."""
    options = dict(CHECKPOINT=trained.checkpoint)
    fails('publish', None, folder, COMMANDS['model_converters/publish_model.py'].split(maxsplit=1)[
        1], **options)
    tool('model_converters/publish_model.py', folder, **options)
    published, = folder.glob('published_*.pth')
    found, whole = load(published), load(trained.checkpoint)
    assert found.keys() == {'state_dict', 'meta', 'rescom_mm'} and 'optimizer' in whole
    assert found['state_dict'].keys() == whole['state_dict'].keys()
    said, _ = tool('test.py', folder, CHECKPOINT=published)
    assert f'shot/all: {trained.figures["shot/all"]:.4f}' in said
    assert len(pickle.loads((folder / 'predictions.pkl').read_bytes())) == 500
