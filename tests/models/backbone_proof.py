"""The proof of an entry of tests/models/backbones.py: a step, an evaluation, strip and load."""

import copy
import importlib.util
import re

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from rescom_mm.apis.production.inference_model import inference_model
from rescom_mm.models import SiameseClassifier
from rescom_mm.utils.options import init_parameters
from rescom_mm.utils.safe_load import safe_load
from tests.models.backbones import FAMILIES


def registered():
    """The backbones of the installed mmpretrain, by name."""
    return {name: cls for name, cls in MODELS.module_dict.items()
            if cls.__module__.startswith('mmpretrain.models.backbones.')}


def parts(name):
    """Backbone, neck and head of a stock classifier, without widths."""
    family = FAMILIES[name]
    return copy.deepcopy(dict(
        backbone=dict(type=name, **family.small, **family.needs), neck=family.neck,
        head=dict(type='LinearClsHead', num_classes=3, init_cfg=None)))


def build(name, **options):
    """A ``SiameseClassifier`` with SiamBS, SPM and the class-balanced queue."""
    config, channels = parts(name), FAMILIES[name].channels
    config['backbone'].update(options)
    config['head']['loss'] = dict(type='SiamBSLoss', class_counts=[9, 4, 2])
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = SiameseClassifier(
            **config,
            projector=dict(type='NonLinearNeck', out_channels=8, with_avg_pool=False,
                           with_last_bn=False, norm_cfg=dict(type='BN1d')),
            queue=dict(type='ClassBalancedQueue', keys_per_class=2),
            contrastive_loss=dict(type='SPMLoss', num_positives=1, num_negatives=3, beta=0.9,
                                  class_counts=[9, 4, 2]),
            data_preprocessor=dict(mean=[127.0] * channels, std=[64.0] * channels))
        model.init_weights()
    return model


def missing_package(name):
    """The package that mmpretrain needs for a family and that is not installed, or ''."""
    package = FAMILIES[name].package
    return '' if not package or importlib.util.find_spec(package) else package


def prove(name, file):
    """Steps, evaluates, saves, strips and loads; or ends with the error that is expected.

    Returns what docs/backbones.json holds of a family.
    """
    family = FAMILIES[name]
    record = dict(parts=parts(name), size=family.size)
    if family.error is not None:
        kind, pattern = family.error
        try:
            build(name)
        except kind as error:
            assert re.search(pattern, str(error)), error
            return dict(record, works=False)
        raise AssertionError(f'{name} builds; its entry says that it cannot')
    model = build(name)
    unused = step(model, family)
    evaluate(model, family)
    strip_and_load(model, name, family, file)
    return dict(record, works=True, step=True, evaluate=True, strip=True, unused=len(unused),
                layer_decay=decays(model), freezes=freezes(name))


def images(family, total):
    return torch.randint(0, 256, (total, family.channels, family.size, family.size),
                         dtype=torch.uint8)


def step(model, family):
    """One step on two images; every part learns, the queue gets their keys.

    Returns the parameters that no gradient reaches.
    """
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    samples = [DataSample().set_gt_label(label) for label in (0, 2)]
    optimizer = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9)
    model.train()
    log = model.train_step(dict(inputs=[images(family, 2), images(family, 2)],
                                data_samples=samples), OptimWrapper(optimizer))
    model.queue.commit()
    assert all(torch.isfinite(value) for value in log.values()) and {
        'loss_cls', 'loss_con'} <= log.keys()
    assert model.queue.valid.sum() == 2
    changed = {key.partition('.')[0] for key, p in model.named_parameters()
               if not torch.equal(p, before[key])}
    assert changed == {name for name, part in model.named_children() if any(
        p.requires_grad for p in part.parameters())}
    # SGD's momentum exists where there was a gradient
    return sorted(key for key, p in model.named_parameters()
                  if p.requires_grad and p not in optimizer.state)


def evaluate(model, family):
    model.eval()
    with torch.no_grad():
        predictions = model.val_step(dict(inputs=images(family, 2),
                                          data_samples=[DataSample(), DataSample()]))
    scores = torch.stack([sample.pred_score for sample in predictions])
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(2))


def strip_and_load(model, name, family, file):
    """The pair that ``tools/model/strip.py`` writes is stock, loads, and gives the same bits."""
    channels = family.channels
    cfg = Config(dict(
        model=dict(parts(name), type='SiameseClassifier'),  # no widths: as users' configs
        data_preprocessor=dict(mean=[127.0] * channels, std=[64.0] * channels)))
    cfg.model.head.loss = dict(type='SiamBSLoss')
    torch.save(dict(state_dict=model.state_dict()), file)
    inference_model(cfg, file).save(file.with_name('stripped.pth'))
    config = Config.fromfile(file.with_name('stripped.py'))
    assert config.model.head.in_channels == model.head.in_channels
    assert 'rescom_mm' not in str(config.to_dict())
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        stock = MODELS.build(dict(config.model, data_preprocessor=config.data_preprocessor))
    assert type(stock) is ImageClassifier
    missing, unexpected = stock.load_state_dict(
        safe_load(file.with_name('stripped.pth'))['state_dict'], strict=not family.computed)
    assert not unexpected and all(re.search(family.computed, key) for key in missing)
    inputs = torch.randn(2, channels, family.size, family.size)
    with torch.no_grad():
        assert torch.equal(model.eval()(inputs), stock.eval()(inputs))


def decays(model):
    """Whether mmpretrain's layer-wise decay of the learning rate knows the layers."""
    constructor = LearningRateDecayOptimWrapperConstructor(
        dict(optimizer=dict(type='SGD', lr=1.0, weight_decay=0.1)), dict(layer_decay_rate=0.5))
    try:
        groups = constructor(model).optimizer.param_groups
    except NotImplementedError:
        return False
    rates = {group['param_name']: group['lr'] for group in groups}
    assert rates.keys() == {key for key, p in model.named_parameters() if p.requires_grad}
    assert {rate for key, rate in rates.items() if not key.startswith('backbone.')} == {1.0}
    assert min(rates.values()) <= 0.25 and max(rates.values()) == 1.0
    return True


def freezes(name):
    """Whether ``frozen_stages=1`` keeps weights of the backbone, and the others learn."""
    if 'frozen_stages' not in init_parameters(registered()[name]):
        return False
    try:
        model = build(name, frozen_stages=1)
    except AttributeError:  # HiViT's freezing names a layer that there is not
        return False
    frozen = {key: p.detach().clone() for key, p in model.named_parameters()
              if not p.requires_grad}
    step(model, FAMILIES[name])
    assert all(torch.equal(p, frozen[key]) for key, p in model.named_parameters() if key in frozen)
    return any(key.startswith('backbone.') for key in frozen)
