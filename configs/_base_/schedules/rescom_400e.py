"""The schedule of ImageNet-LT: 400 epochs, cosine by epoch.

Epochs and rate are the paper's; warm-up, floor and weight decay are the released code's defaults.
"""

lr, epochs, warmup = 0.06, 400, 10

optim_wrapper = dict(optimizer=dict(type='SGD', lr=lr, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=warmup),
    # begins an epoch earlier than the warm-up ends: so it meets the closed form exactly
    dict(type='CosineAnnealingLR', begin=warmup - 1, end=epochs, T_max=epochs - warmup,
         eta_min_ratio=1e-5),
]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=256)
