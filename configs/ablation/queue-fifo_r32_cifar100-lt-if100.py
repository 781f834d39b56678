"""Queue types, CIFAR-100-LT (100), ResNet-32: one FIFO: its classes follow the training data.

The class-balanced one is supcon-cbq-balsfx.
"""

_base_ = './supcon-cbq-balsfx_r32_cifar100-lt-if100.py'

model = dict(queue=dict(_delete_=True, type='FIFOQueue', size=1000))
