"""The paper's schedule of iNaturalist 2018: as ImageNet-LT's, at a learning rate of 0.08."""

lr, epochs, warmup = 0.08, 400, 10

optim_wrapper = dict(optimizer=dict(
    type='SGD', lr=lr, momentum=0.9,
    # lost: the released default is 5e-4; PaCo's recipe, which the paper follows, has 1e-4 [guess]
    weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=warmup),
    dict(type='CosineAnnealingLR', begin=warmup - 1, end=epochs, T_max=epochs - warmup,
         eta_min_ratio=1e-5),
]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=256)
