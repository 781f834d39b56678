"""ResCom, ResNeXt-50 32x4d, ImageNet-LT: 8 GPUs x 32 images, 400 epochs.

4, 1 and 500 (keys a class, positives, negatives) follow from the paper's table for this backbone;
the rest is ResNet-50's, with its guesses.
"""

_base_ = './rescom_r50_imagenet-lt.py'

model = dict(backbone=dict(type='ResNeXt', groups=32, width_per_group=4))
