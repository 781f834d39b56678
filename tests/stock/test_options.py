"""What mmpretrain does with options of the wrong kind."""

import pytest
import torch
from mmpretrain.registry import MODELS


def test_wrong_kind():
    """`loss_weight='heavy'` is taken; the first step ends with a TypeError that names no option."""
    loss = MODELS.build(dict(type='CrossEntropyLoss', loss_weight='heavy'))
    with pytest.raises(TypeError) as error:
        loss(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))
    assert 'loss_weight' not in str(error.value)
