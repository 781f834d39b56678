"""Fine-tuning on Places-LT: 30 epochs, cosine by epoch."""

lr, epochs, warmup = 0.02, 30, 5  # warm-up as in PaCo's script, which the paper follows [guess]

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=lr, momentum=0.9, weight_decay=5e-4))  # decay [guess]
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / warmup, begin=0, end=warmup),
    dict(type='CosineAnnealingLR', begin=warmup - 1, end=epochs, T_max=epochs - warmup,
         eta_min_ratio=1e-5),
]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=256)
