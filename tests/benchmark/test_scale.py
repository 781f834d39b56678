"""The numbers of docs/scale.md are those of the formulas, and of what is really allocated."""

import pytest
import scale
import torch

from rescom_mm.models import ClassBalancedQueue
from rescom_mm.models.queues.gather_keys import PAD_LABEL


def test_page_is_the_functions():
    page = scale.PAGE.read_text()
    assert scale.filled(page) == page
    with pytest.raises(ValueError, match='must each be there once'):
        scale.filled(page.replace('<!-- terms -->', ''))


def test_terms_of_a_case():
    case = scale.CASES['iNaturalist 2018']
    queue = ClassBalancedQueue(case.keys, case.classes, case.dim)
    assert scale.queue(case) == queue.keys.numel() * queue.keys.element_size()
    z_MD = torch.zeros(2 * case.images, case.dim)
    with_batch_MN = z_MD @ torch.cat([z_MD, queue.keys]).T
    assert scale.similarities(case) == with_batch_MN.numel() * with_batch_MN.element_size()
    packed = torch.full((case.world, case.images, case.dim + 1), PAD_LABEL, dtype=torch.int32)
    assert scale.gather(case) == packed.numel() * packed.element_size()
    assert scale.table_of_released(case) == 8 * 8142 * 8141 * 2
    assert scale.product(case) == 2 * 64 * 16284 * 128


def test_where_terms_begin():
    keys = {row[0]: row[3] for row in scale.begins()}
    assert keys['queue'] == 'CK = 2,100,000'  # 2^30 / (4 * 128)
    assert keys['similarities, memory'] == 'CK = 4,200,000'  # 2^30 / (4 * 64)
    assert keys['index table (released code)'] == 'C = 5,800'  # sqrt(2^30 / 32)


def test_units():
    assert [scale.size(n) for n in (999, 8_337_408, 2.048e9)] == ['999 B', '8.34 MB', '2.05 GB']
    assert [scale.number(n) for n in (7, 42.4, 1234, 959_123.0)] == ['7', '42', '1,200', '960,000']
