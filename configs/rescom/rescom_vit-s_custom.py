"""ResCom, ViT-S/16, one's own images: AdamW, layer-wise decay, drop path, no mixup or CutMix.

Transformers want pre-trained weights; any checkpoint of mmpretrain's DeiT-S, whose other head is
left out:

    load_from = 'deit-small_pt-4xb256_in1k_20220218-9425b9bb.pth'  # see mmpretrain's model zoo

or the backbone alone, and its first six of twelve layers kept as they are:

    model = dict(backbone=dict(frozen_stages=6, init_cfg=dict(
        type='Pretrained', checkpoint='FILE', prefix='backbone')))

The rest of what to set is in rescom_r50_custom.py.
"""

_base_ = 'rescom_r50_custom.py'

model = dict(
    backbone=dict(_delete_=True, type='VisionTransformer', arch='deit-small', img_size=224,
                  patch_size=16, drop_path_rate=0.1),
    neck=None)  # the class token is one vector an image

# [guess]: customary for fine-tuning with 64 images a step, not tuned here
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2.5e-4, weight_decay=0.05),
    constructor='LearningRateDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75,  # each layer at 0.75 of the rate of the one above
                       flat_decay_mult=0.0,  # biases and norms do not decay
                       custom_keys={'.cls_token': dict(decay_mult=0.0),
                                    '.pos_embed': dict(decay_mult=0.0)}))
