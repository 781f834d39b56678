"""Importing the package first readies the stack (torchvision beside a CPU-only torch)."""

import gc
import json
import os
from pathlib import Path

os.environ.setdefault('CUDA_DEVICE_ORDER', 'PCI_BUS_ID')

import pytest
import torch
from hypothesis import settings
from mmengine.registry import DefaultScope

import rescom_mm  # noqa: F401

torch.set_num_threads(1)  # tests are many small operations
settings.register_profile('ci', deadline=None, derandomize=True)
settings.load_profile('ci')

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_finish():
    """mmengine collects garbage whenever a dataset is built: not among all that is imported."""
    gc.freeze()


@pytest.fixture(autouse=True)
def own_scope(monkeypatch):
    """A Runner leaves its registry scope behind: no test is to need another one before it."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', DefaultScope._instance_dict.copy())


@pytest.fixture(scope='session')
def golden() -> dict:
    """Test vectors made by an independent NumPy derivation of the method."""
    return json.loads((Path(__file__).parent / 'data' / 'golden.json').read_text())


@pytest.fixture
def no_picture(monkeypatch):
    """For trainings about something else: to draw results.png takes half of such a short one."""
    monkeypatch.setattr('rescom_mm.engine.hooks.results_hook.draw_results', lambda *args: None)
