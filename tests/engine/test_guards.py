"""Gradients that are not finite become zeros on the device, and only those."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from rescom_mm.engine.guards import MaskingGuard, zero_unless_finite
from tests.models.test_siamese_classifier import no_host_reads


def gradients(dtype=torch.float32):
    largest = torch.finfo(dtype).max
    return [torch.tensor([largest, -largest, 0.0, -0.0, torch.finfo(dtype).tiny], dtype=dtype),
            torch.randn(2, 3, 4, 4).to(dtype).contiguous(memory_format=torch.channels_last),
            torch.randn(5, 4).to(dtype).T, torch.randn((), dtype=torch.float32).to(dtype)]


@pytest.mark.stack
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_finite_gradients_keep_every_bit(dtype):
    """Their norm may overflow; they are finite nevertheless."""
    given = gradients(dtype)
    before = [gradient.clone() for gradient in given]
    assert zero_unless_finite(given)
    for gradient, was in zip(given, before):
        assert torch.equal(gradient, was) and torch.equal(gradient.signbit(), was.signbit())


@pytest.mark.parametrize('value', [1.0, torch.nan])
def test_sparse_gradients(value):
    embedding = nn.Embedding(5, 3, sparse=True)
    wrapper = OptimWrapper(torch.optim.SGD(embedding.parameters(), lr=1))
    guard, before = MaskingGuard(wrapper), embedding.weight.detach().clone()
    wrapper.update_params((embedding(torch.tensor([1, 3, 1])) * value).sum())
    moved = torch.tensor([0, 2, 0, 1, 0]) if value == 1 else torch.zeros(5)
    torch.testing.assert_close(before - embedding.weight, moved[:, None].float().expand(5, 3))
    assert guard.gradients_were_finite() == (value == 1)


@pytest.mark.stack
@pytest.mark.parametrize('value', [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize('where', range(4))
def test_one_bad_value_zeroes_all(value, where):
    given = gradients()
    given[where][(0,) * given[where].ndim] = value
    given.append(torch.ones(3, dtype=torch.bfloat16))
    assert not zero_unless_finite(given)
    assert all((gradient == 0).all() for gradient in given)


@pytest.mark.parametrize('loss_factor', [1.0, torch.nan, torch.inf])
def test_nothing_is_read_back(monkeypatch, loss_factor):
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, foreach=False)
    wrapper = OptimWrapper(optimizer)
    guard = MaskingGuard(wrapper)
    loss = model(torch.randn(4, 3)).square().mean() * loss_factor
    with no_host_reads(monkeypatch):
        wrapper.backward(wrapper.scale_loss(loss))
        guard.before_step(optimizer)
    assert guard.gradients_were_finite() == (loss_factor == 1)
    assert guard.gradients_were_finite()  # asked once a step
    assert all(bool((p.grad == 0).all()) == (loss_factor != 1) for p in model.parameters())


def test_removed_guard_leaves_nothing():
    model = nn.Linear(3, 2)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.1))
    MaskingGuard(wrapper).remove()
    assert 'backward' not in vars(wrapper)
    wrapper.update_params(model(torch.ones(1, 3)).sum() * torch.nan)
    assert not torch.isfinite(model.weight).any()
