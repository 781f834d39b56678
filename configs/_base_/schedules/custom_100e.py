"""A schedule for one's own images: 100 epochs, 5 of warm-up, cosine by epoch."""

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=5),
    dict(type='CosineAnnealingLR', begin=5, end=100, T_max=95, eta_min=0),
]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)
