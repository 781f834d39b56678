"""Fine-tuning on Places-LT: 30 epochs, cosine by epoch, most convolutions frozen."""

lr, epochs, warmup = 0.02, 30, 5  # warm-up as in PaCo's script, which the paper follows [guess]

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=lr, momentum=0.9, weight_decay=5e-4),  # decay [guess]
    # PaCo's freezing rule: all convolutions but those of the last block of stage 4 stay as they
    # are; BN's weights and statistics, and all heads, learn. The longest matching key counts.
    paramwise_cfg=dict(custom_keys={
        'backbone.layer4.2.conv': dict(lr_mult=1.0),
        'backbone.conv1': dict(lr_mult=0.0),
        '.conv1.': dict(lr_mult=0.0),
        '.conv2.': dict(lr_mult=0.0),
        '.conv3.': dict(lr_mult=0.0),
        '.downsample.0.': dict(lr_mult=0.0),
    }))
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / warmup, begin=0, end=warmup),
    # a ratio, not a rate: what is frozen has the rate 0, also at the end
    dict(type='CosineAnnealingLR', begin=warmup - 1, end=epochs, T_max=epochs - warmup,
         eta_min_ratio=1e-5),
]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=256)
