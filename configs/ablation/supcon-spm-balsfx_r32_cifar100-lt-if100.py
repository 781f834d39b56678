"""Ladder on CIFAR-100-LT IF100, rung 5: hard pair mining, Balanced Softmax on one view.

The last rung, SiamBS, is configs/rescom/rescom_r32_cifar100-lt-if100.py.
"""

_base_ = '../rescom/rescom_r32_cifar100-lt-if100.py'

model = dict(cls_views='first')
