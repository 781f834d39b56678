"""Class weights on ImageNet-LT, ResNet-50: beta = 0.99.

Which rung of the ladder the paper swept is not said; + CBL is taken [guess].
"""

_base_ = './supcon-cbl-balsfx_r50_imagenet-lt.py'

model = dict(contrastive_loss=dict(beta=0.99))
