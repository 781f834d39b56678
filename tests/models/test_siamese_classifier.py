"""SiameseClassifier: its losses, its switches, its checks, and no host read-back in a step."""

import contextlib

import pytest
import torch
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.utils._python_dispatch import TorchDispatchMode

import rescom_mm  # noqa: F401
from rescom_mm.models import SiameseClassifier
from rescom_mm.models.classifiers.probe import probe_shapes

COUNTS = [9, 4, 2]
MOCO = dict(queue=dict(type='FIFOQueue', size=9), contrastive_loss=dict(type='InfoNCELoss'),
            key_encoder=dict(type='ExponentialMovingAverage', momentum=0.5))


def config(**changes):
    parts = dict(
        backbone=dict(type='ResNet_CIFAR', depth=18, stem_channels=4, base_channels=4,
                      num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,)),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=4, init_cfg=None,
                  loss=dict(type='SiamBSLoss', class_counts=COUNTS)),
        projector=dict(type='NonLinearNeck', in_channels=4, hid_channels=4, out_channels=6,
                       with_avg_pool=False, with_bias=True, with_last_bias=True,
                       with_last_bn=False, norm_cfg=dict(type='BN1d')),
        queue=dict(type='ClassBalancedQueue', keys_per_class=2),
        contrastive_loss=dict(type='SPMLoss', num_positives=1, num_negatives=3, beta=0.9,
                              class_counts=COUNTS, loss_weight=0.5),
        data_preprocessor=dict(mean=[127.0] * 3, std=[64.0] * 3))
    parts.update(changes)
    return parts


def batch(images=4, size=8):
    views = [torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8) for _ in range(2)]
    samples = [DataSample().set_gt_label(i % 3) for i in range(images)]
    return dict(inputs=views, data_samples=samples)


def test_losses_are_those_of_its_parts():
    model = SiameseClassifier(**config()).train()
    data = model.data_preprocessor(batch(), training=True)
    model.queue.write(torch.nn.functional.normalize(torch.randn(20, 6), dim=1),
                      torch.arange(20, dtype=torch.int32) % 3)
    losses = model(**data, mode='loss')
    labels = torch.tensor([0, 1, 2, 0] * 2)
    model.eval()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    feats = model.extract_feat(data['inputs'])
    torch.testing.assert_close(losses['loss_cls'],
                               model.head.loss_module(model.head(feats), labels))
    z = model.project(feats)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(8))
    torch.testing.assert_close(losses['loss_con'], model.contrastive_loss(z, labels, model.queue))
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items()
               if k.startswith('queue.'))  # the forward pass never writes the queue
    total, _ = model.parse_losses(losses)
    torch.testing.assert_close(total, losses['loss_cls'] + losses['loss_con'])


def test_views_and_reduction():
    torch.manual_seed(0)
    both = SiameseClassifier(**config())
    variants = {}
    for name, options in dict(mean={}, sum=dict(view_reduction='sum'),
                              first=dict(cls_views='first')).items():
        model = SiameseClassifier(**config(**options)).train()
        model.load_state_dict(both.state_dict())
        data = batch()
        torch.manual_seed(1)
        variants[name] = model(**model.data_preprocessor(data, True), mode='loss')['loss_cls']
        if name == 'mean':
            reference_data = data
        model.load_state_dict(both.state_dict())
        again = model(**model.data_preprocessor(reference_data, True), mode='loss')
        variants[name] = again['loss_cls']
        if name == 'first':
            inputs = model.data_preprocessor(reference_data, True)['inputs']
            model.load_state_dict(both.state_dict())
            scores = model.head(model.extract_feat(inputs))[:4]
            expected = model.head.loss_module(scores, torch.tensor([0, 1, 2, 0]))
            torch.testing.assert_close(variants['first'], expected)
    torch.testing.assert_close(variants['sum'], 2 * variants['mean'])


def test_inference_is_an_image_classifiers():
    model = SiameseClassifier(**config()).eval()
    parts = config()
    parts['head']['loss'] = dict(type='CrossEntropyLoss')
    stock = ImageClassifier(parts['backbone'], parts['neck'], parts['head']).eval()
    kept = {k: v for k, v in model.state_dict().items()
            if not k.startswith(('projector.', 'queue.'))}
    stock.load_state_dict(kept, strict=True)
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(model(images), stock(images))
    for stage in ('backbone', 'neck'):
        assert torch.equal(model.extract_feat(images, stage)[-1],
                           stock.extract_feat(images, stage)[-1])
    assert model.predict(images)[0].pred_label == stock.predict(images)[0].pred_label


def test_construction_leaves_no_trace(monkeypatch):
    """The blank image that the widths are read off changes no mode, statistic or random state."""
    torch.manual_seed(0)
    model = SiameseClassifier(**config())
    with_probe = torch.rand(1)
    assert model.training and all(m.training for m in model.modules())
    assert model.backbone.norm1.num_batches_tracked == 0
    monkeypatch.setattr('rescom_mm.models.classifiers.siamese_classifier.probe_shapes',
                        lambda model: 6)
    torch.manual_seed(0)
    SiameseClassifier(**config())
    assert torch.equal(torch.rand(1), with_probe)


def test_probe_of_a_backbone_that_draws_random_numbers():
    class Drawing(torch.nn.Conv2d):
        def forward(self, x):
            torch.rand(3)
            return (super().forward(x),)

    model = SiameseClassifier(**config(backbone=Drawing(3, 4, 1)))
    state = torch.get_rng_state()
    assert probe_shapes(model) == 6
    assert torch.equal(torch.get_rng_state(), state)


class RejectHostReads(TorchDispatchMode):
    """Fails on operations whose result, or its shape, must come back to the host."""

    BANNED = ('_local_scalar_dense', 'nonzero', 'masked_select', 'bincount', 'unique', 'item',
              'equal.default', 'is_nonzero')

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        if any(word in name for word in self.BANNED):
            raise AssertionError(f'host read-back: {name}')
        if name.startswith(('aten.index.', 'aten.index_put')):
            for index in args[1]:
                if index is not None and index.dtype in (torch.bool, torch.uint8):
                    raise AssertionError(f'host read-back: boolean mask in {name}')
        if name == 'aten.repeat_interleave.Tensor':
            raise AssertionError(f'host read-back: {name}')
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def no_host_reads(monkeypatch):
    def refuse(self, *args, **kwargs):
        raise AssertionError('host read-back: Tensor method')

    with monkeypatch.context() as patch, RejectHostReads():
        for method in ('tolist', 'numpy', 'item', 'cpu', '__bool__', '__int__', '__float__'):
            patch.setattr(torch.Tensor, method, refuse)
        yield


@pytest.mark.parametrize('changes', [
    dict(queue=dict(type='ClassBalancedQueue', keys_per_class=2)),
    dict(queue=dict(type='ClassBalancedQueue', keys_per_class=2, init='random')),
    dict(queue=dict(type='FIFOQueue', size=9)),
    dict(queue=dict(type='ReversedQueue', size=9, class_counts=COUNTS)),
    MOCO,
])
def test_step_reads_nothing_back(monkeypatch, changes):
    model = SiameseClassifier(**config(**changes)).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, foreach=False)
    for _ in range(2):
        data = batch()
        with no_host_reads(monkeypatch):
            losses = model(**model.data_preprocessor(data, training=True), mode='loss')
            sum(losses.values()).backward()
            model.queue.commit()
        optimizer.step()
    assert model.queue.valid.any()


@pytest.mark.skipif('not torch.cuda.is_available()', reason='needs a CUDA device')
@pytest.mark.parametrize('changes', [{}, MOCO], ids=['rescom', 'moco'])
def test_step_does_not_synchronise_on_cuda(changes):
    model = SiameseClassifier(**config(**changes)).cuda().train()
    for sample in range(3):
        data = model.data_preprocessor(batch(), training=True)
        if sample:  # the first step may allocate and move constants
            torch.cuda.set_sync_debug_mode('error')
        try:
            losses = model(**data, mode='loss')
            sum(losses.values()).backward()
            model.queue.commit()
            if model.key_encoder is not None:
                model.update_key_encoder()
        finally:
            torch.cuda.set_sync_debug_mode('default')


def test_guard_against_host_reads_works(monkeypatch):
    x = torch.arange(4.0)
    for read in (lambda: x.sum().item(), lambda: x[x > 1], lambda: x.nonzero(), lambda: x.tolist(),
                 lambda: bool(x.sum() > 1), lambda: x.masked_select(x > 1),
                 lambda: x.int().bincount(), lambda: x.unique(), lambda: x.numpy()):
        with pytest.raises(AssertionError, match='host read-back'), no_host_reads(monkeypatch):
            read()


@pytest.mark.parametrize('changes, message', [
    (dict(queue=dict(type='ClassBalancedQueue', keys_per_class=2, feat_dim=5)),
     r'queue\.feat_dim=5 but the projector gives 6'),
    (dict(queue=dict(type='ClassBalancedQueue', keys_per_class=2, num_classes=4)),
     r'queue\.num_classes=4 but model\.head\.num_classes=3'),
    (dict(contrastive_loss=dict(type='SPMLoss', num_positives=3)),
     r'num_positives=3 but model\.queue\.keys_per_class=2'),
    (dict(contrastive_loss=dict(type='SPMLoss', num_negatives=5)),
     r'num_negatives=5 but .*2 \* 2 = 4'),
    (dict(queue=dict(type='ReversedQueue', size=6),
          contrastive_loss=dict(type='SPMLoss', num_positives=5)),
     r'num_positives=5 but a class has at most size - num_classes \+ 1 = 4 keys'),
    (dict(queue=dict(type='ReversedQueue', size=6),
          contrastive_loss=dict(type='SPMLoss', num_negatives=6)),
     'num_negatives=6 but other classes have at most 5 of the 6 keys'),
    (dict(queue=dict(type='ReversedQueue', size=2)), 'set model.queue.size to 3 or more'),
    (dict(queue=None), 'mines keys .* but model.queue is not set'),
    (dict(queue=None, contrastive_loss=dict(type='SPMLoss', in_batch_pairs=False)),
     'nothing to contrast'),
    (dict(projector=None), 'needs model.projector'),
    (dict(queue=None, contrastive_loss=dict(type='InfoNCELoss')), 'model.queue is not set'),
    (dict(projector=None, queue=None, contrastive_loss=None,
          key_encoder=dict(type='ExponentialMovingAverage')),
     'model.key_encoder is set but model.contrastive_loss is not'),
    (dict(key_encoder=dict(type='ExponentialMovingAverage', update_buffers=True)),
     'key_encoder.update_buffers=True'),
    (dict(contrastive_loss=None), 'model.projector is set but model.contrastive_loss is not'),
    (dict(neck=None), r'pre-logits of shape \[N, F\]'),
    (dict(head=None), 'model.head is not set'),
    (dict(cls_views='second'), 'cls_views'),
    (dict(view_reduction='max'), 'view_reduction'),
    (dict(projector=dict(type='NonLinearNeck', in_channels=5, hid_channels=4, out_channels=6,
                         with_avg_pool=False, norm_cfg=dict(type='BN1d'))),
     r'model\.projector\.in_channels=4'),
    (dict(head=dict(type='LinearClsHead', num_classes=3, in_channels=8)),
     r'model\.head\.in_channels=4'),
    (dict(train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8)])), 'mixup, CutMix'),
])
def test_bad_configs(changes, message):
    with pytest.raises(ValueError, match=message):
        SiameseClassifier(**config(**changes))


def test_misspelt_key_of_a_component():
    with pytest.raises(TypeError, match=r'key_encoder must be a dict or None, got 0\.999'):
        SiameseClassifier(**config(key_encoder=0.999))
    with pytest.raises(TypeError, match=r'no option `num_positive` \(given: 1\).*`num_positives`'):
        SiameseClassifier(**config(contrastive_loss=dict(type='SPMLoss', num_positive=1)))
    with pytest.raises(TypeError, match='Did you mean `cls_views`'):
        MODELS.build(dict(type='SiameseClassifier', cls_view='both', **config()))


def test_single_view_and_multi_label_batches_are_refused():
    model = SiameseClassifier(**config()).train()
    single = dict(inputs=torch.zeros(4, 3, 8, 8, dtype=torch.uint8),
                  data_samples=batch()['data_samples'])
    with pytest.raises(ValueError, match='TwoViews'):
        model(**model.data_preprocessor(single, training=True), mode='loss')
    parts = config()
    parts['head']['loss'] = dict(type='CrossEntropyLoss')
    model = SiameseClassifier(**parts).train()
    data = batch()
    data['data_samples'][0].set_gt_label([0, 2])
    with pytest.raises(ValueError, match='4 samples carry 5 labels: multi-label'):
        model(**model.data_preprocessor(data, training=True), mode='loss')


@pytest.mark.parametrize('cls_views', ['both', 'first'])
def test_key_encoder(cls_views):
    """Queries are view 1 by the encoder, keys are view 2 by the average, without gradient."""
    model = SiameseClassifier(**config(cls_views=cls_views, **MOCO)).train()
    assert not any(p.requires_grad for p in model.key_encoder.parameters())
    with torch.no_grad():
        for p in model.key_encoder.parameters():
            p.add_(torch.randn_like(p) / 4)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    data = model.data_preprocessor(batch(), training=True)
    model.queue.write(torch.nn.functional.normalize(torch.randn(5, 6), dim=1),
                      torch.zeros(5, dtype=torch.int32))
    before = {k: v.clone() for k, v in model.queue.state_dict().items()}
    losses = model(**data, mode='loss')
    assert all(torch.equal(v, before[k]) for k, v in model.queue.state_dict().items())

    inputs, labels = data['inputs'], torch.tensor([0, 1, 2, 0])
    rows = inputs if cls_views == 'both' else inputs[:4]
    feats = model.extract_feat(rows)
    torch.testing.assert_close(losses['loss_cls'], model.head.loss_module(
        model.head(feats), labels.repeat(len(rows) // 4)))
    keys = model.key_encoder.module
    parts = [model.project((feats[-1][:4],)), torch.nn.functional.normalize(
        keys.projector((keys.neck(keys.backbone(inputs[4:]))[-1],))[-1], dim=1)]
    assert not parts[1].requires_grad
    torch.testing.assert_close(losses['loss_con'], model.contrastive_loss(
        torch.cat(parts), labels.repeat(2), model.queue))
    sum(losses.values()).backward()
    assert all(p.grad is None for p in model.key_encoder.parameters())
    for staged in model.queue._staged[0]:  # whichever view is enqueued
        torch.testing.assert_close(staged, parts[1])
    weights = {k: v for k, v in model.state_dict().items() if not k.startswith('queue.')}
    assert all(torch.equal(v, state[k]) for k, v in weights.items()
               if 'running' not in k and 'num_batches' not in k)  # forward moves no weight
    assert all(k.startswith('key_encoder.') for k in weights
               if k not in SiameseClassifier(**config()).state_dict())


def test_key_encoder_is_no_part_of_inference():
    parts = config(**MOCO)
    model = SiameseClassifier(**parts).eval()
    parts['head']['loss'] = dict(type='CrossEntropyLoss')
    stock = ImageClassifier(parts['backbone'], parts['neck'], parts['head']).eval()
    stock.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith(
        ('projector.', 'queue.', 'key_encoder.'))}, strict=True)
    model.key_encoder = None
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(model(images), stock(images))


@pytest.mark.parametrize('images', [1, 3])
def test_any_batch_size(images):
    model = SiameseClassifier(**config()).train()
    for size in (4, images):
        losses = model(**model.data_preprocessor(batch(size), True), mode='loss')
        sum(losses.values()).backward()
        model.queue.commit()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
