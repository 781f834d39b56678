"""InfoNCELoss against the slow reference, loss and gradient."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rescom_mm.models import ClassBalancedQueue, FIFOQueue, InfoNCELoss
from tests.models.test_spm_loss import unit_rows
from tests.reference import info_nce


@given(st.data())
def test_matches_slow_reference(data):
    """Random sizes; queues that are empty, partly and wholly filled; under autocast too."""
    draw = data.draw
    images, dim, slots = draw(st.integers(1, 6)), draw(st.integers(2, 6)), draw(st.integers(1, 12))
    generator = np.random.default_rng(draw(st.integers(0, 2**31)))
    z = unit_rows(generator, 2 * images, dim)
    queue = (FIFOQueue(slots, 3, dim) if draw(st.booleans())
             else ClassBalancedQueue(-(-slots // 3), 3, dim))
    n = draw(st.integers(0, 2 * slots))
    if n:
        queue.write(torch.tensor(unit_rows(generator, n, dim)).float(),
                    torch.tensor(generator.integers(0, 3, n), dtype=torch.int32))
    temperature = draw(st.sampled_from([0.07, 0.2, 1.0]))
    weight = draw(st.sampled_from([1.0, 0.5]))
    expected, expected_grad = info_nce(z, queue.keys.double().numpy(), queue.valid.numpy(),
                                       temperature)
    z_tensor = torch.tensor(z, dtype=torch.float32, requires_grad=True)
    labels = torch.randint(0, 3, (2 * images,))
    with torch.autocast('cpu', torch.bfloat16, enabled=draw(st.booleans())):
        value = InfoNCELoss(temperature, weight)(z_tensor, labels, queue)
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(weight * expected, rel=2e-5, abs=2e-6)
    scale = max(1.0, np.abs(expected_grad).max())
    np.testing.assert_allclose(z_tensor.grad.numpy() / scale, weight * expected_grad / scale,
                               atol=2e-5)


def test_detached_keys_get_no_gradient_and_an_empty_queue_gives_zero():
    query = torch.nn.functional.normalize(torch.randn(3, 4), dim=1).requires_grad_()
    keys = torch.nn.functional.normalize(torch.randn(3, 4), dim=1)
    loss = InfoNCELoss()(torch.cat([query, keys]), torch.zeros(6), FIFOQueue(5, 2, 4))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(query.grad, torch.zeros(3, 4), atol=1e-5, rtol=0)


@pytest.mark.parametrize('temperature', [0, -1.0, float('inf')])
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match='temperature must be positive and finite'):
        InfoNCELoss(temperature)
    with pytest.raises(TypeError, match='temperature must be a number, got nan'):
        InfoNCELoss(float('nan'))
