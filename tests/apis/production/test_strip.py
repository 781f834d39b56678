"""tools/model/strip.py: the pair it writes is the trained model, under stock mmpretrain alone."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS
from PIL import Image

from rescom_mm.apis.own_images import inspect_data, split_data
from rescom_mm.apis.production import strip
from rescom_mm.apis.production.inference_model import inference_model
from rescom_mm.apis.production.predict_logits import build_loader, predict_logits
from rescom_mm.apis.production.stock_config import stock_config
from rescom_mm.datasets import DigitsLT
from tests.configs import FILES, read
from tests.runs import ROOT, SITECUSTOMIZE, TINY, load, run_tool, train
from tests.standin import write_folders, write_lists
from tests.trained import full_model, save_training

OWN = '''
_base_ = '{base}'
train_dataloader = dict(dataset=dict(data_root='{folder}'))
val_dataloader = dict(dataset=dict(data_root='{folder}'))
test_dataloader = dict(num_workers=0, persistent_workers=False,
                       dataset=dict(data_root='{folder}'))
model = dict({model})
'''
SMALL = ('backbone=dict(depth=18), head=dict(num_classes=3, in_channels=512), '
         'projector=dict(in_channels=512, hid_channels=64)')
FULL = 'head=dict(num_classes=3)'
PLACES = ("backbone=dict(type='FrozenConvResNet', depth=50, trainable_blocks=2), "
          'head=dict(num_classes=3)')


def write_digits(folder, limit=60):
    dataset = DigitsLT(split='test')
    for index in range(limit):
        item = dataset.get_data_info(index)
        path = folder / str(item['gt_label']) / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(item['img']).save(path)


def own_training(folder, model):
    """Config, checkpoint and model of a training on one's own images."""
    for part in ('train', 'test'):
        write_folders(folder / 'data' / part, crow=3, owl=4, wren=2)
    config = folder / 'birds.py'
    config.write_text(OWN.format(base=FILES['rescom_r50_custom'], folder=folder / 'data',
                                 model=model))
    full = full_model(Config.fromfile(config))
    save_training(folder / 'full.pth', full, ('crow', 'owl', 'wren'), (3, 4, 2))
    return config, folder / 'full.pth', full


def run_alone(folder, jobs):
    """Strips each (config, checkpoint, images, class folders), runs the pairs; see alone.py."""
    (folder / 'sitecustomize.py').write_text(SITECUSTOMIZE)
    for job in jobs:
        out = folder / f'{job["name"]}.pth'
        strip.main([str(job['config']), str(job['checkpoint']), str(out)])
        job.update(config=str(out.with_suffix('.py')), checkpoint=str(out), out=str(out) + '.npz',
                   images=str(out) + '.npy')
        np.save(job['images'], job['pixels'])
    (folder / 'jobs.json').write_text(json.dumps([
        {name: str(job[name]) for name in ('config', 'checkpoint', 'images', 'folder', 'out')}
        for job in jobs]))
    run_tool(ROOT / 'tests' / 'apis' / 'production' / 'alone.py', folder / 'jobs.json', cwd=folder,
             env=dict(PYTHONPATH=str(folder)))
    return [dict(np.load(job['out'])) for job in jobs]


def logits_of(model, pixels):
    data = model.data_preprocessor(dict(inputs=list(torch.from_numpy(pixels))))
    with torch.no_grad():
        return model(data['inputs'], mode='tensor').numpy()


def check_own(folder, model):
    config, checkpoint, full = own_training(folder, model)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 224, 224), dtype=np.uint8)
    job = dict(name='own', config=config, checkpoint=checkpoint, pixels=pixels,
               folder=folder / 'data')
    found, = run_alone(folder, [job])
    np.testing.assert_array_equal(found['logits'], logits_of(full, pixels))
    logits, labels = predict_logits(full, build_loader(Config.fromfile(config).test_dataloader))
    assert found['top1'] == pytest.approx(100 * (logits.argmax(1) == labels).mean())
    assert found['pred_class'] in ('crow', 'owl', 'wren') and len(found['pred_scores']) == 3
    return Config.fromfile(folder / 'own.py')


def plain(value):
    if isinstance(value, dict):
        return all(type(key) is str and plain(item) for key, item in value.items())
    if type(value) is list:
        return all(plain(item) for item in value)
    return type(value) in (str, int, float)


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    """A training of one epoch with EMAHook: its folder, runner and checkpoint."""
    folder = tmp_path_factory.mktemp('digits')
    runner = train(folder, epochs=1, without=('results', ),
                   custom_hooks=[dict(type='EMAHook', momentum=0.1)])
    return folder, runner, folder / 'epoch_1.pth'


def test_pairs_alone_give_the_same_bits(digits, tmp_path):
    """Averaged weights on digits, and own images: logits, Inferencer, test.py, without us."""
    _, runner, checkpoint = digits
    write_digits(tmp_path / 'digits')
    pixels = np.random.default_rng(0).integers(0, 256, (7, 3, 8, 8), dtype=np.uint8)
    config, own_checkpoint, own = own_training(tmp_path, SMALL)
    own_pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224), dtype=np.uint8)
    averaged = next(hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook')
    averaged = averaged.ema_model.module.cpu().eval()
    found, found_own = run_alone(tmp_path, [
        dict(name='tiny', config=TINY, checkpoint=checkpoint, pixels=pixels,
             folder=tmp_path / 'digits'),
        dict(name='own', config=config, checkpoint=own_checkpoint, pixels=own_pixels,
             folder=tmp_path / 'data')])
    np.testing.assert_array_equal(found['logits'], logits_of(averaged, pixels))
    assert (found['logits'] != logits_of(runner.model.eval(), pixels)).any()
    np.testing.assert_array_equal(found_own['logits'], logits_of(own, own_pixels))
    assert found['names'].tolist() == list('0123456789')
    assert str(found['pred_class']) in '0123456789'
    assert found_own['pred_class'] in ('crow', 'owl', 'wren')

    for name, classes in (('tiny', 10), ('own', 3)):
        stripped = load(tmp_path / f'{name}.pth')
        assert set(stripped) == {'meta', 'state_dict'} and plain(stripped['meta'])
        kept = {key.split('.')[0] for key in stripped['state_dict']}
        assert kept == {'backbone', 'head'}
        assert stripped['meta']['logits_prior'] == pytest.approx([1 / classes] * classes)
        assert 'rescom_mm' not in str(Config.fromfile(tmp_path / f'{name}.py').to_dict())
    assert (tmp_path / 'tiny.pth').stat().st_size < checkpoint.stat().st_size / 2
    trained = load(checkpoint)['meta']['dataset_meta']
    assert load(tmp_path / 'tiny.pth')['meta']['dataset_meta'] == dict(
        classes=list(trained['classes']), class_counts=trained['class_counts'])
    # test.py: the same images, decoded by the data set's own transform
    logits, labels = predict_logits(own, build_loader(Config.fromfile(config).test_dataloader))
    assert found_own['top1'] == pytest.approx(100 * (logits.argmax(1) == labels).mean())


@pytest.mark.slow
@pytest.mark.parametrize('model', [FULL, PLACES])
def test_other_own_models_alone(model, tmp_path):
    cfg = check_own(tmp_path, model)
    assert cfg.model.backbone == dict(type='ResNet', depth=50, zero_init_residual=False)
    assert (tmp_path / 'own.pth').stat().st_size < (tmp_path / 'full.pth').stat().st_size / 2


@pytest.mark.parametrize('name', FILES)
def test_configs_are_made_of_stock_parts(name):
    """All but those with the CIFAR ResNet-32, which mmpretrain does not have."""
    stock, remarks = stock_config(read(name))
    narrow = '_r32_' in name
    assert ('custom_imports' in stock) is narrow
    assert any('ResNetCIFAR: no stock equal' in remark for remark in remarks) is narrow
    text = str(stock)
    assert narrow or 'rescom_mm' not in text
    for ours in ('Siam', 'LT\'', 'LoadImage\'', 'Shot', 'Frozen', 'Queue', 'projector', 'init_cfg'):
        assert ours not in text, ours
    pipeline = [step['type'] for step in stock['test_dataloader']['dataset']['pipeline']]
    assert pipeline[-1] == 'PackInputs'


def test_benchmarks_become_stock_data_sets():
    dataset = stock_config(read('rescom_r32_cifar100-lt-if100'))[0]['test_dataloader']['dataset']
    assert dataset == dict(type='CIFAR100', data_root='data/cifar100', split='test',
                           test_mode=True, pipeline=[dict(type='PackInputs')])
    dataset = stock_config(read('rescom_r50_inat18'))[0]['test_dataloader']['dataset']
    assert (dataset['type'], dataset['ann_file']) == ('CustomDataset', 'iNaturalist18_val.txt')


def test_lists_are_read_the_same(tmp_path):
    write_lists(tmp_path, 'ImageNetLT')
    cfg = read('rescom_r50_imagenet-lt')
    cfg.test_dataloader.dataset.data_root = str(tmp_path)
    stock, remarks = stock_config(cfg)
    ours = DATASETS.build(cfg.test_dataloader.dataset)
    theirs = DATASETS.build(stock['test_dataloader']['dataset'])
    assert type(theirs).__name__ == 'CustomDataset' and not remarks
    for index, item in enumerate(ours):
        other = theirs[index]
        assert item['data_samples'].gt_label == other['data_samples'].gt_label
        assert torch.equal(item['inputs'], other['inputs'])
    for folder in (tmp_path / 'train').iterdir():  # flat, as some releases are
        for file in folder.iterdir():
            file.rename(tmp_path / 'train' / file.name)
    assert 'its folders are not spelt as those in' in stock_config(cfg)[1][0]


def test_narrow_resnet_is_kept_honestly(tmp_path, capsys):
    cfg = read('rescom_r32_cifar100-lt-if100')
    full = full_model(cfg)
    save_training(tmp_path / 'full.pth', full, map(str, range(100)), range(100, 0, -1))
    strip.main([str(FILES['rescom_r32_cifar100-lt-if100']), str(tmp_path / 'full.pth')])
    assert 'ResNetCIFAR: no stock equal, so the pair needs rescom_mm' in capsys.readouterr().out
    pair = tmp_path / 'full_stripped.py'
    assert Config.fromfile(pair).custom_imports.imports == ['rescom_mm']
    again = inference_model(Config.fromfile(pair), tmp_path / 'full_stripped.pth')
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    np.testing.assert_array_equal(logits_of(again.model, pixels), logits_of(full, pixels))
    assert again.meta['dataset_meta']['class_counts']['images'] == list(range(100, 0, -1))


def test_prior_is_folded_into_the_bias(digits, tmp_path):
    _, _, checkpoint = digits
    prior = [2.0**-k for k in range(10)]
    (tmp_path / 'prior.txt').write_text('\n'.join(map(str, prior)))
    strip.main([str(TINY), str(checkpoint), str(tmp_path / 'raw.pth')])
    strip.main([str(TINY), str(checkpoint), str(tmp_path / 'a.pth'),
                '--test-prior', str(tmp_path / 'prior.txt')])
    raw, a = load(tmp_path / 'raw.pth'), load(tmp_path / 'a.pth')
    shift = a['state_dict']['head.fc.bias'] - raw['state_dict']['head.fc.bias']
    want = np.log(np.array(prior) / sum(prior)) - np.log(0.1)
    np.testing.assert_allclose(shift.numpy(), want, atol=1e-5)
    assert torch.equal(raw['state_dict']['head.fc.weight'], a['state_dict']['head.fc.weight'])
    # a pair knows the prior of its logits, so that it can be adjusted again, here back
    strip.main([str(tmp_path / 'a.py'), str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth'),
                '--test-prior', 'uniform'])
    torch.testing.assert_close(load(tmp_path / 'b.pth')['state_dict']['head.fc.bias'],
                               raw['state_dict']['head.fc.bias'], atol=1e-6, rtol=1e-5)
    # the option of the head comes to the same
    cfg = Config.fromfile(TINY)
    cfg.merge_from_dict({'model.head.type': 'PriorAdjustedHead', 'model.head.of': 'LinearClsHead',
                         'model.head.test_prior': prior})
    folded = inference_model(cfg, checkpoint)
    torch.testing.assert_close(folded.model.head.fc.bias.data, a['state_dict']['head.fc.bias'])
    assert folded.config['model']['head']['type'] == 'LinearClsHead'


def test_a_head_that_folds_nothing_is_left_as_it_is(tmp_path):
    cfg = read('ce_tiny_digits-lt')
    cfg.model.head = dict(type='ArcFaceClsHead', num_classes=10, in_channels=64)
    save_training(tmp_path / 'full.pth', full_model(cfg), '0123456789', [5] * 10)
    found = inference_model(cfg, tmp_path / 'full.pth')
    with pytest.raises(ValueError, match='ArcFaceClsHead are not those of linear layers'):
        found.divide(2.0)
    with pytest.raises(ValueError, match=r"trained_prior is not set.*'train' after plain"):
        found.adjust('uniform')


def test_names_of_folders_stay_text(tmp_path):
    """Quotes, and what mmengine would put something else for."""
    data = tmp_path / '{{$HOME:x}} {{ fileBasename }} "\''
    cfg = read('rescom_tiny_digits-lt')
    save_training(tmp_path / 'full.pth', full_model(cfg), '0123456789', [5] * 10)
    cfg.test_dataloader.dataset = dict(type='OwnImages', data_root=str(data), pipeline=[])
    found = inference_model(cfg, tmp_path / 'full.pth')
    pair = tmp_path / 'O\'Neil\'s "birds"' / 'größe.py'
    found.save(pair.with_suffix('.pth'))
    saved = Config.fromfile(pair)
    assert saved.load_from == str(pair.with_suffix('.pth'))
    assert saved.test_dataloader.dataset.data_root == str(data)


def test_lists_of_own_images_are_read_the_same(tmp_path, monkeypatch):
    """A config as inspect.py writes it."""
    write_folders(tmp_path / "o'brien", crow=6, owl=4, dodo=1)
    (tmp_path / 'base.py').write_text(f"_base_ = {str(FILES['rescom_r50_custom'])!r}\n"
                                      'model = dict(backbone=dict(depth=18))\n')
    monkeypatch.chdir(tmp_path)
    inspect_data.main(["o'brien", '--base', 'base.py', '--config', 'x.py'])
    split_data.main(["o'brien"])
    cfg = Config.fromfile('x.py')
    ours, theirs = (DATASETS.build(one['test_dataloader']['dataset'])
                    for one in (cfg, stock_config(cfg)[0]))
    assert type(theirs).__name__ == 'CustomDataset'
    assert theirs.CLASSES == ours.CLASSES == ('crow', 'dodo', 'owl') and len(ours) == 5
    assert [theirs.get_data_info(i) for i in range(5)] == [
        {**ours.get_data_info(i)} for i in range(5)]


def test_grey_models_are_folded_too(tmp_path):
    cfg = read('ce_tiny_digits-lt')
    cfg.model.backbone = dict(type='LeNet5')
    cfg.model.head.in_channels = 120
    cfg.data_preprocessor = dict(mean=[127.0], std=[64.0])
    save_training(tmp_path / 'full.pth', full_model(cfg), '0123456789', [5] * 10)
    found = inference_model(cfg, tmp_path / 'full.pth')
    bias = found.model.head.fc.bias.clone()
    found.divide(2.0)
    torch.testing.assert_close(found.model.head.fc.bias * 2, bias)


def test_what_does_not_fit_is_said_in_one_line(digits, tmp_path):
    _, _, checkpoint = digits
    other = FILES['rescom_r32_cifar100-lt-if100']
    (tmp_path / 'file').touch()
    for argv, message in (
            ([TINY, tmp_path / 'none.pth'], 'none.pth does not exist'),
            ([other, checkpoint, tmp_path / 'x.pth'], "is not of this config's model: it has no"),
            ([TINY, checkpoint, checkpoint], 'is read, and would be overwritten'),
            ([TINY, checkpoint, tmp_path / 'x.onnx'], 'must end in .pth'),
            ([TINY, checkpoint, tmp_path / 'x.pth', '--cfg-options', 'model.head.num_classes=7'],
             r'head.fc.weight is \[10, 64\] in it, \[7, 64\] in the model'),
            ([TINY, checkpoint, tmp_path / 'x.pth', '--test-prior', 'equal'],
             "^--test-prior: equal is no file; give 'uniform'"),
            ([TINY, checkpoint, tmp_path / 'x.pth', '--test-prior', 'my_prior.txt'],
             '^--test-prior: my_prior.txt is no file'),
            ([TINY, checkpoint, tmp_path / 'file' / 'x.pth'], 'file cannot be made .*another fol')):
        with pytest.raises(SystemExit, match=message) as error:
            strip.main([*map(str, argv)])
        assert '\n' not in str(error.value)
    assert not list(tmp_path.glob('x.*'))
