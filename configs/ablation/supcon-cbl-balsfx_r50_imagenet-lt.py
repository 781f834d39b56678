"""Ladder on ImageNet-LT, rung 3: class-balanced weights, one FIFO queue."""

_base_ = './supcon-cbq-balsfx_r50_imagenet-lt.py'

# as many keys as the class-balanced queue holds
model = dict(queue=dict(_delete_=True, type='FIFOQueue', size=4000))
