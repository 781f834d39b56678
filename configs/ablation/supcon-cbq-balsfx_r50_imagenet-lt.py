"""Ladder on ImageNet-LT, rung 4: class-balanced queue, nothing mined."""

_base_ = './supcon-spm-balsfx_r50_imagenet-lt.py'

model = dict(contrastive_loss=dict(num_positives=None, num_negatives=None))
