"""ResCom, ResNet-50, one's own images in a folder per class. Inherit it and set:

    _base_ = 'rescom_r50_custom.py'
    train_dataloader = dict(dataset=dict(data_root='data/birds'))  # has train/CLASS/, test/CLASS/
    val_dataloader = dict(dataset=dict(data_root='data/birds'))
    test_dataloader = dict(dataset=dict(data_root='data/birds'))
    model = dict(head=dict(num_classes=7))

Another backbone is a line more (docs/backbones.md); its widths are read off it:

    model = dict(backbone=dict(depth=18), head=dict(num_classes=7))
"""

_base_ = ['../_base_/models/resnet50.py', '../_base_/datasets/image_folders.py',
          '../_base_/schedules/custom_100e.py', '../_base_/default_runtime.py']

model = dict(
    type='SiameseClassifier',
    head=dict(in_channels=None, loss=dict(type='SiamBSLoss')),  # None: read off the backbone
    projector=dict(type='NonLinearNeck', out_channels=128, with_avg_pool=False, with_bias=True,
                   with_last_bias=True, with_last_bn=False, norm_cfg=dict(type='BN1d')),
    queue=dict(type='ClassBalancedQueue', keys_per_class=8),
    # num_negatives is left out: all keys of other classes, which fits any number of classes
    contrastive_loss=dict(type='SPMLoss', num_positives=1, temperature=0.2, beta=0.999,
                          loss_weight=0.5))
