"""Ladder on ImageNet-LT, rung 5: hard pair mining, Balanced Softmax on one view.

The last rung, SiamBS, is configs/rescom/rescom_r50_imagenet-lt.py.
"""

_base_ = '../rescom/rescom_r50_imagenet-lt.py'

model = dict(cls_views='first')
