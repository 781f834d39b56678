"""Queue types, ImageNet-LT, ResNet-50: one FIFO: its classes follow the training data.

Same experiment as supcon-cbl-balsfx_r50_imagenet-lt. The class-balanced one is supcon-cbq-balsfx.
"""

_base_ = './supcon-cbl-balsfx_r50_imagenet-lt.py'
