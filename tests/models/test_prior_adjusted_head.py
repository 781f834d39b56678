"""PriorAdjustedHead: an option at test time, and nothing else."""

import copy

import pytest
import torch
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

from tests.runs import load, tiny_config, train

FEATS = (torch.rand(6, 8, generator=torch.Generator().manual_seed(0)), )
HEAD = dict(num_classes=3, in_channels=8)


def build(of='LinearClsHead', **options):
    torch.manual_seed(0)
    head = MODELS.build(dict(type='PriorAdjustedHead', of=of, **{**HEAD, **options}))
    head.init_weights()
    return head.eval()


def test_posterior_by_bayes_rule():
    head = build(test_prior=[1, 2, 5], trained_prior=[0.5, 0.3, 0.2])
    plain = head.fc(FEATS[0]).softmax(1)
    odds = plain * torch.tensor([1.0, 2, 5]) / torch.tensor([0.5, 0.3, 0.2])
    got = torch.stack([sample.pred_score for sample in head.predict(FEATS)])
    torch.testing.assert_close(got, odds / odds.sum(1, keepdim=True))
    # in training it is the head alone
    assert torch.equal(head.train()(FEATS), head.fc(FEATS[0]))
    assert torch.equal(copy.deepcopy(head).eval()(FEATS), head.eval()(FEATS))


def test_off_by_default():
    assert torch.equal(build()(FEATS), build().fc(FEATS[0]))
    equal = build(test_prior='uniform', loss=dict(type='SiamBSLoss', class_counts=[9, 3, 1]))
    assert torch.equal(equal(FEATS), equal.fc(FEATS[0]))


@pytest.mark.parametrize('of, options', [
    ('LinearClsHead', {}), ('VisionTransformerClsHead', dict(hidden_dim=4)),
    ('StackedLinearClsHead', dict(mid_channels=[5])), ('DeiTClsHead', {}),
    ('ArcFaceClsHead', {})])
def test_any_head_with_its_own_checkpoint(of, options):
    plain = MODELS.build(dict(type=of, **HEAD, **options)).eval()
    head = build(of, test_prior=[8, 1, 1], trained_prior='uniform', **options)
    assert head.state_dict().keys() == plain.state_dict().keys()
    head.load_state_dict(plain.state_dict())
    feats = ([None, FEATS[0], FEATS[0]], ) if of == 'DeiTClsHead' else (
        ([None, FEATS[0]], ) if of == 'VisionTransformerClsHead' else FEATS)
    shift = (torch.tensor([0.8, 0.1, 0.1]) * 3).log()
    torch.testing.assert_close(head(feats), plain(feats) + shift)


def test_unknown_priors_are_refused():
    with pytest.raises(ValueError, match=r"loss does not tell it \(CrossEntropyLoss\): give 'tra"):
        build(test_prior='uniform')
    with pytest.raises(ValueError, match=r'model\.head\.test_prior has 2 numbers, there are 3'):
        build(test_prior=[1, 2], trained_prior='uniform')
    assert build(test_prior='train', trained_prior='uniform')(FEATS).isnan().all()
    head = build('ConformerHead', test_prior='uniform', trained_prior='uniform',
                 in_channels=[8, 8])
    with pytest.raises(ValueError, match='ConformerHead gives a'):
        head(([FEATS[0], FEATS[0]], ))


def test_counts_come_from_the_checkpoint(tmp_path, no_picture):
    """Tested with ``--cfg-options``, as the documentation says."""
    train(tmp_path, epochs=1)
    file = tmp_path / 'epoch_1.pth'
    counts = torch.tensor(load(file)['meta']['dataset_meta']['class_counts']['samples'])

    def bias_of(**options):
        cfg = tiny_config(tmp_path, load_from=str(file), **{
            'model__head__type': 'PriorAdjustedHead', 'model__head__of': 'LinearClsHead',
            **{f'model__head__{name}': value for name, value in options.items()}})
        runner = Runner.from_cfg(cfg)
        metrics = runner.test()
        head = runner.model.head
        feats = (torch.zeros(1, 64), )
        return (head(feats) - head.fc(feats[0]))[0].detach(), metrics['shot/all']

    want = (counts / counts.sum()).log() - torch.tensor(0.1).log()
    shift, _ = bias_of(test_prior='train')  # SiamBSLoss: trained for a uniform one
    torch.testing.assert_close(shift, want)
    assert (bias_of(test_prior='uniform')[0] == 0).all()
    torch.testing.assert_close(bias_of(test_prior='uniform', trained_prior='train')[0], -want)
    with pytest.raises(RuntimeError, match='_PriorAdjustment needs the class counts of the train'):
        checkpoint = load(file)
        del checkpoint['meta']['dataset_meta']['class_counts']
        torch.save(checkpoint, file)
        bias_of(test_prior='train')
    assert bias_of(test_prior=[1e9] + [1e-9] * 9)[1] == 10  # all images are called class 0
