"""What every config shares. Our hooks stand under default_hooks: a child's custom_hooks list would
replace a list here, while dicts merge."""

custom_imports = dict(imports=['rescom_mm'], allow_failed_imports=False)
default_scope = 'mmpretrain'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='WholeCheckpointHook', interval=1, max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='VisualizationHook', enable=False),
    # a resumed run goes on as if it had not been stopped
    resume=dict(type='ResumeHook'),
    # ends a training whose loss or gradients are not finite, before they do harm
    finite=dict(type='FiniteHook'),
    # counts of the training set, for the losses and ShotAccuracy
    class_counts=dict(type='ClassCountsHook'),
    # another image of the class in the place of one that can't be decoded; a report
    bad_images=dict(type='BadImageHook'),
    # writes the keys of a model that has a queue
    queue=dict(type='ClassBalancedQueueHook'),
    # moves the key encoder of a model that has one (MoCo)
    key_encoder=dict(type='KeyEncoderHook'),
    # table, results.json and results.png at the end of training
    results=dict(type='ResultsHook'),
    # on SIGTERM or SIGUSR1 a checkpoint, and exit code 75
    stop=dict(type='StopHook'))

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0, deterministic=False)
