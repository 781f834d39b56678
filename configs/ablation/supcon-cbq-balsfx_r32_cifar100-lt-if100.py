"""Ladder on CIFAR-100-LT IF100, rung 4: class-balanced queue, nothing mined."""

_base_ = './supcon-spm-balsfx_r32_cifar100-lt-if100.py'

model = dict(contrastive_loss=dict(num_positives=None, num_negatives=None))
