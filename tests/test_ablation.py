"""What the configs of the ablations hold, as tables, and that nothing else differs."""

import ast
import re

import pytest

from tests.configs import FILES, difference, flat, read

CIFAR, IMAGENET, NEXT = 'r32_cifar100-lt-if100', 'r50_imagenet-lt', 'rx50_imagenet-lt'
# queue of a rung, (keys, keys a class), mined pairs, beta
SIZES = {CIFAR: (1000, 10, (1, 400), 0.999999), IMAGENET: (4000, 4, (1, 500), 0.999)}

# rung -> key encoder, loss, beta?, queue by class?, mined?, views of Balanced Softmax
LADDER = {
    'moco-balsfx': ('ExponentialMovingAverage', 'InfoNCELoss', False, False, False, 'first'),
    'supcon-balsfx': (None, 'SPMLoss', False, False, False, 'first'),
    'supcon-cbl-balsfx': (None, 'SPMLoss', True, False, False, 'first'),
    'supcon-cbq-balsfx': (None, 'SPMLoss', True, True, False, 'first'),
    'supcon-spm-balsfx': (None, 'SPMLoss', True, True, True, 'first'),
    'rescom': (None, 'SPMLoss', True, True, True, 'both'),
}
QUEUE, LOSS = 'model.queue.', 'model.contrastive_loss.'


@pytest.mark.parametrize('data', SIZES)
@pytest.mark.parametrize('rung', LADDER)
def test_rung(rung, data):
    key_encoder, loss, weighted, by_class, mined, views = LADDER[rung]
    keys, keys_per_class, (positives, negatives), beta = SIZES[data]
    model = read(f'{rung}_{data}').model.to_dict()
    assert model['type'] == 'SiameseClassifier' and model.get('cls_views', 'both') == views
    assert model['head']['loss'] == dict(type='SiamBSLoss')
    assert model['queue'] == (dict(type='ClassBalancedQueue', keys_per_class=keys_per_class)
                              if by_class else dict(type='FIFOQueue', size=keys))
    assert model.get('key_encoder') == (key_encoder and dict(type=key_encoder, momentum=0.001))
    expected = dict(type=loss, temperature=0.2, loss_weight=0.5)
    if loss == 'SPMLoss':
        expected.update(beta=beta if weighted else 0, num_positives=positives if mined else None,
                        num_negatives=negatives if mined else None)
    assert model['contrastive_loss'] == expected
    width = 64 if data == CIFAR else 2048
    assert {key: model['projector'][key] for key in ('in_channels', 'hid_channels',
                                                     'out_channels')} == dict(
        in_channels=width, hid_channels=width, out_channels=32 if data == CIFAR else 128)


BY_CLASS = {QUEUE + 'type', QUEUE + 'size', QUEUE + 'keys_per_class'}
STEPS = {  # to each rung from the one before
    'supcon-balsfx': {'model.key_encoder.type', 'model.key_encoder.momentum', LOSS + 'type',
                      LOSS + 'beta', LOSS + 'num_positives', LOSS + 'num_negatives'},
    'supcon-cbl-balsfx': {LOSS + 'beta'},
    'supcon-cbq-balsfx': BY_CLASS,
    'supcon-spm-balsfx': {LOSS + 'num_positives', LOSS + 'num_negatives'},
    'rescom': {'model.cls_views'},
}


@pytest.mark.parametrize('data', SIZES)
@pytest.mark.parametrize('before, rung', zip(LADDER, STEPS))
def test_step_of_the_ladder(before, rung, data):
    assert difference(f'{rung}_{data}', f'{before}_{data}').keys() == STEPS[rung]


def variants():
    """Config, the one that it varies, and exactly what differs between them."""
    for data, (keys, *_) in SIZES.items():
        for kind, name in (('fifo', 'FIFOQueue'), ('reversed', 'ReversedQueue')):
            yield f'queue-{kind}_{data}', f'supcon-cbq-balsfx_{data}', {
                QUEUE + 'type': name, QUEUE + 'size': keys, QUEUE + 'keys_per_class': None}
    for beta in ('0', '0.9', '0.99', '0.999', '0.9999', '0.99999'):
        yield f'beta-{beta}_{IMAGENET}', f'supcon-cbl-balsfx_{IMAGENET}', {
            LOSS + 'beta': float(beta)}
    for keys in (1000, 2000, 8000):
        yield f'rescom-q{keys}_{IMAGENET}', f'rescom_{IMAGENET}', {
            QUEUE + 'keys_per_class': keys // 1000}
        for method in ('moco-balsfx', 'supcon-balsfx'):
            yield f'{method}-q{keys}_{IMAGENET}', f'{method}_{IMAGENET}', {QUEUE + 'size': keys}
    for keys, positives, negatives in ((4, 1, 500), (4, 2, 2000), (4, 4, 3996), (8, 2, 500),
                                       (8, 2, 2000), (8, 4, 2000), (8, 8, 7992)):
        yield f'spm-k{keys}-p{positives}-n{negatives}_{NEXT}', f'rescom_{NEXT}', {
            QUEUE + 'keys_per_class': keys, LOSS + 'num_positives': positives,
            LOSS + 'num_negatives': negatives}
    yield f'rescom_{NEXT}', f'rescom_{IMAGENET}', {
        'model.backbone.type': 'ResNeXt', 'model.backbone.groups': 32,
        'model.backbone.width_per_group': 4}
    yield f'balsfx_{CIFAR}', f'ce_{CIFAR}', {'model.head.loss.type': 'SiamBSLoss'}
    for method, classes in (('rescom', 10), ('rescom', 100), ('balsfx', 10), ('balsfx', 100)):
        for factor in (10, 50):
            name = f'{method}_r32_cifar{classes}-lt-if'
            yield f'{name}{factor}', f'{name}100', {
                'train_dataloader.dataset.imbalance_factor': factor}


@pytest.mark.parametrize('name, base, values', variants())
def test_variant(name, base, values):
    # what is set as in the base does not differ from it
    expected = {key: value for key, value in values.items() if flat(base).get(key) != value}
    assert difference(name, base) == expected
    assert all(flat(name).get(key) == value for key, value in values.items())


def test_the_tables_are_complete():
    tables = {name for name, *_ in variants()} | {f'{rung}_{data}' for rung in LADDER
                                                  for data in SIZES}
    ablation = {name for name, file in FILES.items() if file.parent.name == 'ablation'}
    assert {name for name in ablation if not name.endswith('tiny_digits-lt')} <= tables


def original_of(name):
    """The config that a docstring names as the same experiment."""
    text = ast.get_docstring(ast.parse(FILES[name].read_text(encoding='utf-8')))
    said = re.search(r'[Ss]ame experiment as ([\w.-]*\w)', text)
    return said and said[1]


def test_equal_configs_say_so():
    """All of a group that is the same experiment name one, which names none."""
    groups = {}
    for name in FILES:
        groups.setdefault(frozenset(flat(name).items()), []).append(name)
    for names in groups.values():
        originals = [name for name in names if original_of(name) is None]
        assert len(originals) == 1 and all(
            original_of(name) in (None, *originals) for name in names), (
            f'{names} are equal: write "Same experiment as NAME" into all but one of them')
