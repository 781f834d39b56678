"""Hard pair mining on ImageNet-LT, ResNeXt-50: 4 keys a class, 1 positive, 500 negatives.

Same experiment as rescom_rx50_imagenet-lt.
"""

_base_ = '../rescom/rescom_rx50_imagenet-lt.py'
