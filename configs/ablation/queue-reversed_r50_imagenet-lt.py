"""Queue types, ImageNet-LT, ResNet-50: reversed: the head has the tail's share.

The class-balanced one is supcon-cbq-balsfx.
"""

_base_ = './supcon-cbq-balsfx_r50_imagenet-lt.py'

model = dict(queue=dict(_delete_=True, type='ReversedQueue', size=4000))
