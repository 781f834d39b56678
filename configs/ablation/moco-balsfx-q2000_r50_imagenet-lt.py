"""Queue size, ImageNet-LT: MoCo and Balanced Softmax with 2000 keys.

The sizes of the paper's figure are lost; these are 1, 2 and 8 keys a class beside 4 [guess].
"""

_base_ = './moco-balsfx_r50_imagenet-lt.py'

model = dict(queue=dict(size=2000))
