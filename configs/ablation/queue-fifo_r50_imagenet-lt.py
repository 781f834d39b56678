"""Queue types, ImageNet-LT, ResNet-50: one FIFO: its classes follow the training data.

The class-balanced one is supcon-cbq-balsfx.
"""

_base_ = './supcon-cbq-balsfx_r50_imagenet-lt.py'

model = dict(queue=dict(_delete_=True, type='FIFOQueue', size=4000))
