"""Ladder on CIFAR-100-LT IF100, rung 3: class-balanced weights, one FIFO queue."""

_base_ = './supcon-cbq-balsfx_r32_cifar100-lt-if100.py'

# as many keys as the class-balanced queue holds
model = dict(queue=dict(_delete_=True, type='FIFOQueue', size=1000))
