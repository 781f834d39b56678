"""Trainings through a real Runner: what they leave behind, going on, testing."""

import json
import shutil

import pytest
import torch
from mmengine.runner import Runner

from rescom_mm.visualization.results import results_table
from tests.runs import ROOT, SITECUSTOMIZE, TINY, load, run_tool, tiny_config, train


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Two epochs of the quick start (7 batches each, the last one short)."""
    folder = tmp_path_factory.mktemp('trained')
    return train(folder), folder


@pytest.mark.stack
def test_results(trained):
    _, folder = trained
    results = json.loads((folder / 'results.json').read_text())
    assert results['epochs'] == 2 and results['iterations'] == 14 and results['seed'] == 0
    assert results['config'] == 'rescom_tiny_digits-lt.py'
    assert set(results['last']) >= {'shot/all', 'shot/many', 'shot/medium', 'shot/few', 'epoch',
                                    'calibration/ece', 'calibration/mce'}
    assert results['last']['epoch'] == 2
    assert len(results['per_class_accuracy']) == 10
    assert results['class_counts']['images'] == [128, 91, 65, 47, 33, 24, 17, 12, 8, 6]
    mean = sum(results['per_class_accuracy']) / 10  # the test set is balanced
    assert results['last']['shot/all'] == pytest.approx(mean)
    assert results['best_on_evaluation_set']['key'] == 'shot/all'
    assert [entry['epoch'] for entry in results['history']] == [1, 2]
    assert set(results['curves']) == {'loss', 'loss_cls', 'loss_con'}
    assert len(results['curves']['loss']) == 14
    for key in ('command', 'commit', 'versions', 'hardware', 'wall_time_s', 'config_text'):
        assert key in results
    assert (folder / 'results.png').read_bytes().startswith(b'\x89PNG')
    assert f'calibration/ece: {results["last"]["calibration/ece"]:.2f} %' in results_table(results)


def test_checkpoint_carries_queue_and_counts(trained):
    runner, folder = trained
    checkpoint = load(folder / 'epoch_2.pth')  # nothing unsafe in it
    counts = checkpoint['meta']['dataset_meta']['class_counts']
    assert counts['images'] == counts['samples'] == [128, 91, 65, 47, 33, 24, 17, 12, 8, 6]
    assert checkpoint['state_dict']['queue._keys_PD'].shape == (101, 32)
    assert checkpoint['state_dict']['queue._commits'] == 14
    assert runner.model.queue.status()['fill'] == 1.0
    hub = runner.message_hub.log_scalars
    assert hub['train/queue_fill'].current() == 1.0 and hub['train/queue_age'].current() > 0


@pytest.mark.stack
def test_resume_restores_the_queue_and_load_from_does_not(trained, tmp_path):
    _, folder = trained
    saved = load(folder / 'epoch_2.pth')['state_dict']
    shutil.copy(folder / 'epoch_2.pth', tmp_path / 'epoch_2.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    resumed = train(tmp_path, resume=True)  # at its last epoch already: nothing to train
    for key, value in resumed.model.state_dict().items():
        assert torch.equal(value, saved[key]), key
    # its last epoch is evaluated although the checkpoint was saved before that
    results = json.loads((tmp_path / 'results.json').read_text())
    assert [entry['epoch'] for entry in results['history']] == [1, 2]

    runner = Runner.from_cfg(tiny_config(tmp_path / 'load', load_from=str(folder / 'epoch_2.pth')))
    seen = {}
    runner.train_loop.run = lambda: runner.call_hook('before_train')
    runner.call_hook, call = (lambda name, **kw: (call(name, **kw), seen.setdefault(
        name, runner.model.queue.valid.clone()))), runner.call_hook
    runner.train()
    assert torch.equal(runner.model.head.fc.weight.cpu(), saved['head.fc.weight'])
    assert not seen['before_train'].any() and runner.model.queue._commits == 0


@pytest.mark.usefixtures('no_picture')
def test_same_seed_same_run_and_other_seed_another(trained, tmp_path):
    runner, _ = trained
    again = train(tmp_path / 'again')
    for key, value in again.model.state_dict().items():
        assert torch.equal(value, runner.model.state_dict()[key]), key
    other = train(tmp_path / 'other', randomness__seed=1)
    assert not torch.equal(other.model.head.fc.weight, runner.model.head.fc.weight)


@pytest.mark.usefixtures('no_picture')
def test_ema_and_gradient_accumulation(tmp_path):
    runner = train(tmp_path, epochs=1, optim_wrapper__accumulative_counts=2,
                   default_hooks__ema=dict(type='EMAHook', momentum=0.1))
    assert runner.model.queue._commits == 7  # one a step, accumulated or not
    assert 'ema_state_dict' in load(tmp_path / 'epoch_1.pth')


@pytest.mark.usefixtures('no_picture')
def test_reversed_queue_trains_with_ema_and_is_restored(tmp_path):
    """Its slots take their classes when the counts arrive; EMA and checkpoints don't mind."""
    options = dict(config=ROOT / 'configs/ablation/supcon-reversed_tiny_digits-lt.py', epochs=1,
                   default_hooks__ema=dict(type='EMAHook', momentum=0.1))
    runner = train(tmp_path, **options)
    queue = runner.model.queue
    slots = queue.labels.bincount().tolist()
    assert sum(slots) == 100 and slots == sorted(slots) and slots[0] == 1 and slots[-1] == 30
    assert queue._commits == 7 and queue.valid[queue.labels == 0].all()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    resumed = train(tmp_path, resume=True, **options).model.queue
    for name, value in queue.named_buffers():
        assert torch.equal(dict(resumed.named_buffers())[name], value), name


@pytest.mark.usefixtures('no_picture')
def test_bfloat16(tmp_path):
    runner = train(tmp_path, epochs=1, optim_wrapper__type='BFloat16OptimWrapper')
    assert runner.model.queue.keys.dtype == torch.float32
    keys = runner.model.queue.keys[runner.model.queue.valid]
    torch.testing.assert_close(keys.norm(dim=1), torch.ones(len(keys)))
    losses = runner.message_hub.log_scalars['train/loss_con'].data[0]
    assert losses.shape == (7,) and (losses > 0).all()


@pytest.mark.usefixtures('no_picture')
def test_enqueue_view(tmp_path):
    """The queue holds the keys of the view that the hook names."""
    for view, name in enumerate(('first', 'second')):
        runner = Runner.from_cfg(tiny_config(tmp_path / name, epochs=1,
                                             default_hooks__queue__enqueue_view=name))
        staged = {}
        stage = runner.model.queue.stage
        runner.model.queue.stage = lambda keys, labels, stage=stage, staged=staged: (
            staged.update(keys=keys.detach(), labels=labels), stage(keys, labels))
        runner.train()
        queue = runner.model.queue
        # one of the last batch's images whose class nobody after it in the batch shares
        last = len(staged['labels']) - 1
        label = int(staged['labels'][last])
        slots = (queue.labels == label).nonzero().flatten()
        matches = [(queue.keys[slots] == staged['keys'][v, last]).all(1).any() for v in range(2)]
        assert matches[view] and not matches[1 - view]


def test_counts_come_from_the_checkpoint_at_test_time(trained):
    _, folder = trained
    runner = Runner.from_cfg(tiny_config(folder / 'test', load_from=str(folder / 'epoch_2.pth')))
    metrics = runner.test()
    last = json.loads((folder / 'results.json').read_text())['last']
    for name in ('all', 'many', 'medium', 'few'):
        assert metrics[f'shot/{name}'] == pytest.approx(last[f'shot/{name}'])


@pytest.mark.stack
def test_our_test_tool(trained, tmp_path):
    _, folder = trained
    done = run_tool('tools/test.py', TINY, folder / 'epoch_2.pth', '--work-dir', tmp_path,
                    '--out', tmp_path / 'metrics.json', '--out-item', 'metrics', '--cfg-options',
                    'test_evaluator.0.per_class=True')
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    last = json.loads((folder / 'results.json').read_text())
    assert metrics['shot/few'] == pytest.approx(last['last']['shot/few'])
    assert metrics['shot/per_class'] == pytest.approx(last['per_class_accuracy'])
    assert 'on test_dataloader: DigitsLT, split test, 500 images' in done.stdout
    for line in results_table(last).splitlines()[1:-1]:  # the same table
        assert line in done.stdout, line


def test_stripped_checkpoint_loads_without_this_package(trained, tmp_path):
    """I6: backbone, neck and head of the checkpoint are a stock ImageClassifier."""
    runner, folder = trained
    checkpoint = load(folder / 'epoch_2.pth')['state_dict']
    stripped = {key: value for key, value in checkpoint.items()
                if not key.startswith(('projector.', 'queue.'))}
    torch.save(dict(state_dict=stripped), tmp_path / 'stripped.pth')
    images = torch.randn(5, 3, 8, 8)
    torch.save(images, tmp_path / 'images.pth')
    (tmp_path / 'sitecustomize.py').write_text(SITECUSTOMIZE)
    (tmp_path / 'stock.py').write_text('''
import sys, torch
from mmengine.runner import load_checkpoint
from mmpretrain.models import ImageClassifier
model = ImageClassifier(
    backbone=dict(type='ResNet_CIFAR', depth=18, stem_channels=16, base_channels=16, num_stages=3,
                  strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=64)).eval()
load_checkpoint(model, 'stripped.pth', strict=True)
assert not any(name.startswith('rescom_mm') for name in sys.modules)
with torch.no_grad():
    torch.save(model(torch.load('images.pth')), 'logits.pth')
''')
    run_tool('stock.py', cwd=tmp_path, env=dict(PYTHONPATH=str(tmp_path)))
    runner.model.eval()
    with torch.no_grad():
        torch.testing.assert_close(torch.load(tmp_path / 'logits.pth'), runner.model(images))


@pytest.mark.parametrize('config', sorted(
    path.relative_to(ROOT) for path in (ROOT / 'configs').rglob('*_tiny_digits-lt.py')), ids=str)
def test_every_digits_config_trains(config, tmp_path):
    runner = train(tmp_path, config=ROOT / config, epochs=3)
    results = json.loads((tmp_path / 'results.json').read_text())
    parts = dict(rescom={'loss', 'loss_cls', 'loss_con'}, siambs={'loss', 'loss_cls'},
                 supcon={'loss', 'loss_cls', 'loss_con'}, ce={'loss'}, balsfx={'loss'},
                 moco={'loss', 'loss_cls', 'loss_con'})
    assert set(results['curves']) == parts[config.stem.split('_')[0].split('-')[0]]
    # with instance discrimination the sum rises while the queue fills with negatives
    curve = [value for _, value in results['curves'][
        'loss_cls' if 'moco' in config.stem else 'loss']]
    assert sum(curve[-7:]) < 0.95 * sum(curve[:7])  # it learns
    assert runner.val_loop.evaluator.metrics[0].counts[0] == 128
    assert runner.test()['shot/all'] == results['last']['shot/all']  # the same images


def test_iteration_based_loop(tmp_path):
    """Epochs are passes of the sampler; the figures say so."""
    runner = train(tmp_path, train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=21,
                                   val_interval=7),
          default_hooks__checkpoint=dict(by_epoch=False, interval=7), param_scheduler=None)
    results = json.loads((tmp_path / 'results.json').read_text())
    assert [entry['epoch'] for entry in results['history']] == [1, 2, 3]
    assert results['epochs'] == 3 and results['last']['iter'] == 21
    fill = runner.message_hub.log_scalars['train/queue_fill'].data[0]
    assert len(fill) == 3 and fill[-1] == 1  # whenever LoggerHook logs


@pytest.mark.slow
def test_quick_start_reaches_what_the_readme_says(tmp_path):
    run_tool('tools/train.py', TINY, '--work-dir', tmp_path)
    last = json.loads((tmp_path / 'results.json').read_text())['last']
    assert last['epoch'] == 100 and last['shot/all'] > 93 and last['shot/few'] > 84
