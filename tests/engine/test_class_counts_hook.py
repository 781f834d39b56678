"""What is said before training starts when data, model and config do not fit."""

import numpy as np
import pytest
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, METRICS

from rescom_mm.datasets import DigitsLT
from rescom_mm.utils import ClassCounts
from tests.runs import tiny_config, train

pytestmark = pytest.mark.usefixtures('no_picture')


@DATASETS.register_module()
class BrokenDigits(DigitsLT):
    """Digits with one thing wrong."""

    def __init__(self, fault, **kwargs):
        self.fault = fault
        super().__init__(**kwargs)
        if fault == 'classes':
            self._metainfo['classes'] = ('zero', *'123456789')
        if fault == 'order':
            self._metainfo['classes'] = tuple('9876543210')

    def load_data_list(self):
        items = super().load_data_list()
        if self.fault == 'label':
            items[3]['gt_label'] = 10
        if self.fault == 'empty':
            items = [item for item in items if item['gt_label'] != 7]
        if self.fault == 'multi':
            for item in items:
                item['gt_label'] = [item['gt_label'], 0]
        if self.fault == 'ragged':
            items[0]['gt_label'] = [1, 2]
        return items


@pytest.mark.parametrize('options, message', [
    (dict(train_dataloader__dataset=dict(type='BrokenDigits', fault='label')),
     r'item 3 has label 10, outside 0 \.\.\. 9'),
    (dict(train_dataloader__dataset=dict(type='BrokenDigits', fault='empty')),
     r'no image of class 7 \(7\)'),
    (dict(train_dataloader__dataset=dict(type='BrokenDigits', fault='multi')), 'multi-label'),
    (dict(train_dataloader__dataset=dict(type='BrokenDigits', fault='ragged')), 'multi-label'),
    (dict(val_dataloader__dataset=dict(type='BrokenDigits', fault='classes')),
     r'only in training: 0; only in val_dataloader.dataset: zero'),
    (dict(val_dataloader__dataset=dict(type='BrokenDigits', fault='order')),
     "another order: class 0 is '0' in training, '9' here"),
    (dict(val_dataloader__dataset=dict(type='BrokenDigits', fault='label')),
     r'val_dataloader\.dataset: item 3 has label 10'),
    (dict(val_dataloader__dataset=dict(type='BrokenDigits', fault='multi')),
     r'val_dataloader\.dataset: BrokenDigits is multi-label data'),
    (dict(val_evaluator=[dict(type='ShotAccuracy', class_counts=[5] * 9)]), 'has 9 entries'),
    (dict(model__head__num_classes=11), r'num_classes=11 but the training data has 10'),
    (dict(model__head__loss__class_counts=[5] * 9),
     r'model\.head\.loss\.class_counts: .*has 9 entries, the training data has 10'),
    (dict(model__contrastive_loss=dict(beta=0, class_counts=[5] * 3)), 'has 3 entries'),
    (dict(model__head__loss__class_counts=[5] * 9 + [0]), 'positive number of images'),
])
def test_contradictions_end_before_training(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path, **options)


def test_other_classes_at_test_time(tmp_path):
    train(tmp_path, epochs=1)
    runner = Runner.from_cfg(tiny_config(
        tmp_path / 'test', load_from=str(tmp_path / 'epoch_1.pth'),
        test_dataloader__dataset=dict(type='BrokenDigits', fault='classes')))
    with pytest.raises(ValueError, match=r'only in test_dataloader\.dataset: zero'):
        runner.test()
    runner = Runner.from_cfg(tiny_config(
        tmp_path / 'head', load_from=str(tmp_path / 'epoch_1.pth'), model__head__num_classes=7))
    with pytest.raises(ValueError, match='num_classes=7 but the checkpoint was trained with 10'):
        runner.test()


def test_empty_class_only_warns_where_nobody_needs_it(tmp_path):
    runner = Runner.from_cfg(tiny_config(
        tmp_path, train_dataloader__dataset=dict(type='BrokenDigits', fault='empty'),
        model__head__loss=dict(_delete_=True, type='CrossEntropyLoss'),
        model__contrastive_loss__beta=0))
    said = []
    runner.logger.warning = said.append
    runner.train_loop  # noqa: B018
    runner.call_hook('before_run')
    assert any('no image of class 7 (7)' in message for message in said)


def test_counts_of_the_config_win(tmp_path):
    given = [100] * 10
    runner = train(tmp_path, epochs=1, model__head__loss__class_counts=given)
    prior = runner.model.head.loss_module._log_prior_C
    np.testing.assert_allclose(prior.exp(), [0.1] * 10, rtol=1e-6)
    weights = runner.model.contrastive_loss._weight_C
    assert weights[9] > weights[0]  # still the data's


def test_repeated_data_changes_the_prior_and_not_the_weights(tmp_path):
    """ClassBalancedDataset repeats rare classes: pi_c sees it, n_c does not."""
    plain = Runner.from_cfg(tiny_config(tmp_path / 'plain'))
    dataset = plain.cfg.train_dataloader.dataset
    runner = Runner.from_cfg(tiny_config(
        tmp_path / 'balanced', train_dataloader__dataset=dict(
            _delete_=True, type='ClassBalancedDataset', oversample_thr=0.2, dataset=dataset)))
    for one in (plain, runner):
        one.train_loop  # noqa: B018  builds the loader, as train() does
        one.call_hook('before_run')
    balanced, weights = (runner.model.head.loss_module._log_prior_C,
                         runner.model.contrastive_loss._weight_C)
    assert balanced[9] > plain.model.head.loss_module._log_prior_C[9]
    np.testing.assert_array_equal(weights, plain.model.contrastive_loss._weight_C)


def test_rebalancing_sampler_warns(tmp_path, caplog):
    from mmengine.dataset import DefaultSampler
    from mmengine.registry import DATA_SAMPLERS

    @DATA_SAMPLERS.register_module(force=True)
    class ClassAwareSampler(DefaultSampler.__bases__[0]):
        def __init__(self, dataset, **kwargs):
            self.n = len(dataset)

        def __iter__(self):
            return iter(range(self.n))

        def __len__(self):
            return self.n

    runner = Runner.from_cfg(tiny_config(
        tmp_path, train_dataloader__sampler=dict(_delete_=True, type='ClassAwareSampler')))
    messages = []
    runner.logger.warning = messages.append
    runner.train_loop  # noqa: B018
    runner.call_hook('before_run')
    assert any('ClassAwareSampler' in m and 'SiamBSLoss' in m for m in messages)


def test_no_hook_names_the_line_to_add(tmp_path):
    with pytest.raises(RuntimeError, match="type='ClassCountsHook'"):
        train(tmp_path, without=['class_counts'])
    with pytest.raises(ValueError, match="type='ClassBalancedQueueHook'"):
        train(tmp_path, without=['queue'])


def test_metric_without_counts(tmp_path):
    runner = train(tmp_path, epochs=1, without=['class_counts'],
                   model__head__loss=dict(_delete_=True, type='CrossEntropyLoss'),
                   model__contrastive_loss__beta=0)
    history = runner.message_hub.runtime_info['rescom_results/history']
    assert 'shot/all' in history[0] and 'shot/few' not in history[0]


def test_meta_round_trip():
    counts = ClassCounts((5, 2), (5, 4))
    assert ClassCounts.from_meta(counts.to_meta()) == counts
    metric = METRICS.build(dict(type='ShotAccuracy', class_counts=[7, 7, 7]))
    with pytest.raises(ValueError, match='3 entries'):
        metric.set_class_counts(counts)
