"""Queue types, CIFAR-100-LT (100), ResNet-32: reversed: the head has the tail's share.

The class-balanced one is supcon-cbq-balsfx.
"""

_base_ = './supcon-cbq-balsfx_r32_cifar100-lt-if100.py'

model = dict(queue=dict(_delete_=True, type='ReversedQueue', size=1000))
