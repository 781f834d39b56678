"""ResCom, ResNet-152 fine-tuned on Places-LT: 8 GPUs x 32 images, 30 epochs.

The encoder starts from torchvision's ImageNet weights: download resnet152 (IMAGENET1K_V1) and name
the file: --cfg-options model.backbone.init_cfg.checkpoint=FILE
"""

_base_ = ['../_base_/models/resnet152.py', '../_base_/datasets/places_lt.py',
          '../_base_/schedules/rescom_places_30e.py', '../_base_/default_runtime.py']

model = dict(
    type='SiameseClassifier',
    # PaCo's freezing rule: all convolutions but those of the last block of stage 4 stay as they
    # are; BN's weights and statistics, and all heads, learn
    backbone=dict(type='FrozenConvResNet', trainable_blocks=1,
                  init_cfg=dict(type='Pretrained', checkpoint='data/resnet152.pth')),
    head=dict(num_classes=365, loss=dict(type='SiamBSLoss')),
    projector=dict(type='NonLinearNeck', in_channels=2048, hid_channels=2048,
                   out_channels=128,  # the released builder's default [guess]
                   with_avg_pool=False, with_bias=True, with_last_bias=True, with_last_bn=False,
                   norm_cfg=dict(type='BN1d')),
    # queue and mining are lost: CIFAR-100's, whose number of classes is nearest [guess]
    queue=dict(type='ClassBalancedQueue', keys_per_class=10),
    # temperature and loss_weight: the paper has one pair, CIFAR-100's are known [guess, likely]
    contrastive_loss=dict(type='SPMLoss', num_positives=1, num_negatives=400, temperature=0.2,
                          beta=0.999,  # lost [guess]
                          loss_weight=0.5))
