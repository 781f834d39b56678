"""Queue types, CIFAR-100-LT (100), ResNet-32: one FIFO: its classes follow the training data.

Same experiment as supcon-cbl-balsfx_r32_cifar100-lt-if100. The class-balanced one is
supcon-cbq-balsfx.
"""

_base_ = './supcon-cbl-balsfx_r32_cifar100-lt-if100.py'
