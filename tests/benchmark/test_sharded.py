"""A queue sharded by class gives the whole one's loss and gradient, and sends what it should."""

import pytest
import scale
import torch
import torch.nn.functional as F
from sharded import ShardedContrast

from rescom_mm.models import ClassBalancedQueue, SPMLoss


@pytest.mark.parametrize('world, classes', [(1, 7), (4, 12), (3, 10)])
def test_equals_the_whole_queue(world, classes):
    K, D, M, mining, temperature = 3, 8, 10, (2, 5), 0.2
    generator = torch.Generator().manual_seed(0)

    def unit(*shape):
        return F.normalize(torch.randn(*shape, D, dtype=torch.float64, generator=generator), dim=-1)

    keys_CKD, z_WMD = unit(classes, K), unit(world, M)
    labels_WM = torch.randint(classes, (world, M // 2), generator=generator).repeat(1, 2)
    sharded = ShardedContrast(keys_CKD, world, mining, temperature)
    losses, gradients = sharded.step(z_WMD, labels_WM)

    queue = ClassBalancedQueue(K, classes, D).double()
    queue.write(keys_CKD.flatten(0, 1), queue.labels)
    loss = SPMLoss(*mining, temperature)
    for rank in range(world):
        z_MD = z_WMD[rank].float().requires_grad_()
        expected = loss(z_MD, labels_WM[rank], queue.float())
        expected.backward()
        torch.testing.assert_close(losses[rank].float(), expected.detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradients[rank].float(), z_MD.grad, rtol=1e-4, atol=1e-6)
    case = scale.Case(classes=classes, keys=K, dim=D, images=M // 2, positives=mining[0],
                      negatives=mining[1], world=world)
    assert dict(sharded.received) == scale.sharded_bytes(case)
