"""ResCom, ConvNeXt-T, one's own images: AdamW, layer-wise decay, drop path, no mixup or CutMix.

Start from any checkpoint of mmpretrain's ConvNeXt-T, whose other head is left out:

    load_from = 'convnext-tiny_32xb128_in1k_20221207-998cf3e9.pth'  # see mmpretrain's model zoo

or from the backbone alone, its stem and first two of four stages kept as they are:

    model = dict(backbone=dict(frozen_stages=2, init_cfg=dict(
        type='Pretrained', checkpoint='FILE', prefix='backbone')))

The rest of what to set is in rescom_r50_custom.py.
"""

_base_ = 'rescom_r50_custom.py'

model = dict(
    backbone=dict(_delete_=True, type='ConvNeXt', arch='tiny', drop_path_rate=0.1),
    neck=None)  # the backbone pools

# [guess]: customary for fine-tuning with 64 images a step, not tuned here
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2.5e-4, weight_decay=0.05),
    constructor='LearningRateDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75,  # each layer at 0.75 of the rate of the one above
                       flat_decay_mult=0.0))  # biases, norms and layer scales do not decay
