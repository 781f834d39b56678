"""Malformed values of the options of our components: the error names the option."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import ConfigDict
from mmpretrain.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS
from torch import nn

from rescom_mm.engine import WholeCheckpointHook
from rescom_mm.models import SiameseClassifier
from rescom_mm.utils import check_options
from rescom_mm.utils.options import init_parameters
from tests.cifar import write_cifar100
from tests.images import write_folders

# a component of each kind and what it can't do without
BASELINES = {
    'losses': (MODELS, dict(SPMLoss={}, SiamBSLoss={}, InfoNCELoss={})),
    'queues': (MODELS, dict(ClassBalancedQueue=dict(keys_per_class=2, num_classes=4, feat_dim=3),
                            FIFOQueue=dict(size=9, num_classes=4, feat_dim=3),
                            ReversedQueue=dict(size=9, num_classes=4, feat_dim=3))),
    'hooks': (HOOKS, dict(BadImageHook={}, ClassBalancedQueueHook={}, ClassCountsHook={},
                          KeyEncoderHook={}, ResultsHook={})),
    'metrics': (METRICS, dict(ShotAccuracy={}, CalibrationError={})),
    'transforms': (TRANSFORMS, dict(
        LoadImage={}, ClippedCutout={}, AutoAugmentCIFAR10=dict(channel_order='bgr'),
        RandAugmentNonIncreasing=dict(channel_order='bgr'),
        PillowOp=dict(op='rotate', channel_order='bgr', magnitude=3))),
    'datasets': (DATASETS, dict(
        DigitsLT={}, LongTailedDataset=dict(dataset=dict(type='DigitsLT'), imbalance_factor=9),
        CIFAR100LT=dict(data_root='{root}', check_md5=False, imbalance_factor=2),
        OwnImages=dict(data_root='{root}/own', serialize_data=False),
        PlacesLT=dict(data_root='{root}', ann_file='list.txt'))),
}
OPTIONS = [(kind, name, option) for kind, (registry, names) in BASELINES.items() for name in names
           for option, parameter in inspect.signature(
               inspect.unwrap(registry.get(name).__init__)).parameters.items()
           if option != 'self' and parameter.kind not in (parameter.VAR_KEYWORD,
                                                          parameter.VAR_POSITIONAL)]
NUMBERS = st.one_of(st.integers(-3, 9), st.sampled_from([10**5, -10**5, 10**30, -10**30, 2**31]),
                    st.floats(), st.sampled_from([np.float32(2), np.int64(3), 1e-300, 1.5]))
TEXTS = st.one_of(st.sampled_from(['', 'x', 'both', 'train', '3', 'nowhere/at all']), st.text())
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.binary(max_size=3))
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=4), st.lists(st.integers(-1, 9), max_size=9),
                   st.dictionaries(st.sampled_from(['a', 'img_path', 'backend']), SCALARS),
                   st.sets(st.integers(0, 3)), st.builds(object))


def test_options_of_other_packages_are_not_judged():
    """mmengine takes a string where its annotation says a list."""
    hook = WholeCheckpointHook(interval=1, save_best='shot/all', greater_keys='shot')
    assert hook.greater_keys == ('shot',)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    write_cifar100(folder, 200, 100)
    write_folders(folder / 'own', [3, 2], np.random.default_rng(0))
    (folder / 'list.txt').write_text('own/class0/0.jpg 0\n')
    return folder


def check(root, kind, name, option, value):
    registry, names = BASELINES[kind]
    given = {key: text.format(root=root) if isinstance(text, str) else text
             for key, text in names[name].items()}
    try:
        registry.build({**given, option: value, 'type': name})
    except (TypeError, ValueError, FileNotFoundError, AssertionError) as error:
        # where a path is at fault, it may be that of another one of the component's options
        keys = [option] + [key for key in ('ann_file', 'data_root') if 'data_root' in given]
        assert any(key in str(error) for key in keys), f'{name}.{option}={value!r}: {error}'
        assert '\n' not in str(error) or kind == 'datasets'


@given(st.sampled_from(OPTIONS), VALUES)
@settings(max_examples=100)
def test_the_error_names_the_option(root, option, value):
    check(root, *option, value)


@pytest.mark.slow
@given(st.sampled_from(OPTIONS), VALUES)
@settings(max_examples=3000)
def test_the_error_names_the_option_thoroughly(root, option, value):
    check(root, *option, value)


@pytest.mark.slow
@pytest.mark.parametrize('kind, name, option', OPTIONS)
def test_every_option(root, kind, name, option):
    for value in (None, True, -1, 0, 10**30, 1.5, float('nan'), float('inf'), '', 'x', b'x', [],
                  [1], ['x'], [None], {}, {'a': 1}, object()):
        check(root, kind, name, option, value)


@pytest.mark.parametrize('registry, name, wrong, message', [
    (MODELS, 'SPMLoss', dict(temperature='0.1'),
     "SPMLoss: temperature must be a number, got '0.1'"),
    (MODELS, 'SPMLoss', dict(temperature=float('nan')), 'temperature must be a number, got nan'),
    (MODELS, 'SPMLoss', dict(in_batch_pairs='no'), 'in_batch_pairs must be True or False'),
    (MODELS, 'SiamBSLoss', dict(class_counts=[3, 'x']),
     'class_counts must be a list .each an integer. or None, got '),
    (MODELS, 'ClassBalancedQueue', dict(keys_per_class=2.5, num_classes=3, feat_dim=2),
     'keys_per_class must be an integer, got 2.5'),
    (HOOKS, 'BadImageHook', dict(limit='1 %'), "BadImageHook: limit must be a number, got '1 %'"),
    (HOOKS, 'BadImageHook', dict(limt=0.1), r'has no option `limt` .* Did you mean `limit`\?'),
    (HOOKS, 'ResultsHook', dict(num_points=0), 'num_points must be at least 1'),
    (DATASETS, 'DigitsLT', dict(seed=-1), 'seed must lie in 0'),
    (DATASETS, 'DigitsLT', dict(pipeline='flip'), 'pipeline must be a list .each a dict or a'),
    (DATASETS, 'LongTailedDataset', dict(dataset=3, imbalance_factor=9),
     'dataset must be a dataset, or its config'),
    (DATASETS, 'OwnImages', dict(), 'give data_root'),
    (DATASETS, 'OwnImages', dict(data_root='nowhere'), 'nowhere/? does not exist; set data_root'),
    (MODELS, 'SiameseClassifier', dict(backbone=50), 'backbone must be a dict, got 50'),
])
def test_messages(registry, name, wrong, message):
    with pytest.raises((TypeError, ValueError, FileNotFoundError), match=message):
        registry.build(dict(type=name, **wrong))


def test_what_fits():
    @check_options
    class Part:
        def __init__(self, count: int = 1, share: float | None = None, part: dict | None = None,
                     counts: list[int] = (), **kwargs: object) -> None:
            self.got = count, share, part, counts

    assert Part(np.int32(3), 1).got[:2] == (3, 1)
    assert Part(share=np.float32(0.5), counts=np.array([1, 2])).got[1] == 0.5
    assert Part(counts=torch.tensor([4])).got[3] == torch.tensor([4])
    assert Part(part=ConfigDict(a=1)).got[2] == dict(a=1)
    assert isinstance(Part(part=nn.Linear(1, 1)).got[2], nn.Linear)
    assert Part(2, None, counts=(3,)).got == (2, None, None, (3,))
    for wrong in (dict(count=True), dict(count=1.0), dict(share=True), dict(counts=3),
                  dict(counts='12'), dict(counts=[1.5]), dict(part=[1])):
        with pytest.raises(TypeError, match=f'Part: {next(iter(wrong))} must be'):
            Part(**wrong)

    class Child(Part):
        def __init__(self, count: str) -> None:
            super().__init__(count, extra=1)

    assert Child('a subclass decides for itself').got[0].startswith('a subclass')


def test_modules_may_stand_where_configs_do():
    assert init_parameters(SiameseClassifier)['neck'].annotation == dict | list | None
