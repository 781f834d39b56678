"""Config switches that change how a step is computed, and not what."""

import pytest
import torch

from rescom_mm.models.backbones.resnet_cifar import ResNetCIFAR
from tests.runs import train

CHANNELS_LAST = dict(data_preprocessor__channels_last=True)
BF16 = dict(optim_wrapper__type='BFloat16OptimWrapper')
COMPILED = dict(compile=dict(backend='aot_eager'))
# how far losses may be apart in the first step, and keys after the epoch: channels last sums in
# another order, bfloat16 has 8 bits
SWITCHES = {
    'channels_last': (CHANNELS_LAST, 1e-5, 1e-3),
    'bf16': (BF16, 2e-2, 0.3),
    'both': (dict(CHANNELS_LAST, **BF16), 2e-2, 0.3),
    'compile': (COMPILED, 1e-5, 1e-3),
}


def losses(runner, name):
    return torch.tensor(runner.message_hub.log_scalars[f'train/{name}'].data[0])


def short(folder, **options):
    return train(folder, epochs=1, without=('results', 'class_counts'),
                 train_dataloader__drop_last=True, train_dataloader__num_workers=0,
                 train_dataloader__persistent_workers=False, val_dataloader__num_workers=0,
                 val_dataloader__persistent_workers=False,
                 model__head__loss__class_counts=[9] * 10,
                 model__contrastive_loss__class_counts=[9] * 10, **options)


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    return short(tmp_path_factory.mktemp('plain'))


@pytest.mark.parametrize('name', [
    pytest.param(name, marks=[pytest.mark.slow] * (name == 'compile')) for name in SWITCHES])
def test_losses_and_queue(tmp_path, plain, name):
    options, rounding, apart = SWITCHES[name]
    runner = short(tmp_path, **options)
    for loss in ('loss_cls', 'loss_con'):
        mine, theirs = losses(runner, loss), losses(plain, loss)
        assert len(mine) == len(theirs) == 6
        torch.testing.assert_close(mine[0], theirs[0], rtol=rounding, atol=0)
    mine, theirs = runner.model.queue.state_dict(), plain.model.queue.state_dict()
    keys, others = mine.pop('_keys_PD')[1:], theirs.pop('_keys_PD')[1:]
    assert keys.dtype == torch.float32 and keys.is_contiguous()
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)  # the same slots, in order
    valid = plain.model.queue.valid
    assert ((keys - others)[valid].norm(dim=1) < apart).all()
    torch.testing.assert_close(keys[valid].norm(dim=1), torch.ones(int(valid.sum())))
    for parameter in runner.model.parameters():
        assert parameter.dtype == torch.float32 and parameter.isfinite().all()


def test_channels_last_goes_through_the_backbone():
    """No layer on the way turns it back, the padded shortcuts neither."""
    layouts = []
    backbone = ResNetCIFAR(depth=20)
    for module in backbone.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(lambda module, inputs: layouts.append(
                inputs[0].is_contiguous(memory_format=torch.channels_last)))
    backbone(torch.rand(2, 3, 8, 8).contiguous(memory_format=torch.channels_last))
    assert len(layouts) == 19 and all(layouts)
