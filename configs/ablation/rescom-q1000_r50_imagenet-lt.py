"""Queue size, ImageNet-LT: ResCom with 1 key a class.

The sizes of the paper's figure are lost; these are 1, 2 and 8 keys a class beside 4 [guess].
"""

_base_ = '../rescom/rescom_r50_imagenet-lt.py'

model = dict(queue=dict(keys_per_class=1))
