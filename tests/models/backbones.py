"""What each backbone of mmpretrain needs to be trained by a ``SiameseClassifier``.

Everything not named here is as in ``configs/rescom/rescom_r50_custom.py``, and no width is written.
tests/models/backbone_proof.py proves it; ``python -m tests.models.backbones_page`` writes the page.
"""

from typing import Any, NamedTuple

GAP = dict(type='GlobalAveragePooling')
GAP_TOKENS = dict(type='GlobalAveragePooling', dim=1)
# small ones where the family allows any
VIT = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)
STAGES = dict(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1])
MASKED = 'a masked encoder for SparK pre-training; fine-tune its weights in a {}'


class Family(NamedTuple):
    """How a backbone is built and shown.

    ``small`` options only make it small; ``needs`` and ``neck`` every user of it writes. A family
    that can't work has the ``error`` that its build or first pass ends with, and the ``reason``.
    """

    small: dict[str, Any] = {}
    neck: Any = GAP
    needs: dict[str, Any] = {}
    size: int = 64  # of the proof's images, in pixels
    channels: int = 3
    package: str = ''  # where mmpretrain needs another one
    computed: str = ''  # buffers that mmpretrain takes from no checkpoint
    remark: str = ''
    reason: str = ''
    error: tuple[type[Exception], str] | None = None


FAMILIES = dict(
    AlexNet=Family(),
    BEiTViT=Family(dict(arch=VIT, img_size=64), None),
    CSPDarkNet=Family(needs=dict(depth=53)),
    CSPResNeXt=Family(needs=dict(depth=50)),
    CSPResNet=Family(needs=dict(depth=50)),
    Conformer=Family(
        dict(arch='tiny'), None, error=(ValueError, r'pre-logits of shape \[N, F\].*\[1, 256\]'),
        reason='two vectors an image, one of the convolutions and one of the transformer, and no '
               'neck that makes one of them'),
    ConvMixer=Family(dict(arch=dict(embed_dims=32, depth=2, patch_size=7, kernel_size=7))),
    ConvNeXt=Family(dict(arch='atto'), None),
    DaViT=Family(dict(arch=STAGES), size=224),
    DeiT3=Family(dict(arch=VIT, img_size=64), None),
    DenseNet=Family(dict(arch='121')),
    DistilledVisionTransformer=Family(
        dict(arch=VIT, img_size=64), None, dict(out_type='avg_featmap'),
        remark='its own DeiTClsHead cannot be trained by mmpretrain'),
    EdgeNeXt=Family(dict(arch='xxsmall'), None),
    EfficientFormer=Family(dict(arch='l1'), GAP_TOKENS, size=224, remark='images of 224 pixels'),
    EfficientNet=Family(dict(arch='b0')),
    EfficientNetV2=Family(dict(arch='b0')),
    HRNet=Family(neck=[dict(type='HRFuseScales', in_channels=(18, 36, 72, 144)), GAP],
                 needs=dict(arch='w18'),
                 remark='`in_channels` of HRFuseScales are those of `arch`'),
    HiViT=Family(dict(arch='tiny', img_size=64),
                 remark='its `frozen_stages` ends with an AttributeError in mmpretrain'),
    HorNet=Family(dict(arch='tiny'), None),
    InceptionV3=Family(neck=None, size=96, remark='its features are the 1000 outputs of a last '
                                                   'linear layer of its own (`num_classes`)'),
    LeNet5=Family(channels=1, size=32, remark='grey images: `mean` and `std` of one number each'),
    LeViT=Family(dict(img_size=64), needs=dict(arch='128s')),
    MViT=Family(dict(arch='tiny')),
    MixMIMTransformer=Family(dict(arch=STAGES), None, size=224),
    MlpMixer=Family(dict(arch=dict(embed_dims=32, num_layers=2, tokens_mlp_dims=16,
                                   channels_mlp_dims=64), img_size=64), GAP_TOKENS,
                    remark='images of `img_size`'),
    MobileNetV2=Family(),
    MobileNetV3=Family(),
    MobileOne=Family(dict(arch='s0')),
    MobileViT=Family(dict(arch='xx_small')),
    PCPVT=Family(needs=dict(arch='small')),
    PoolFormer=Family(),
    PyramidVig=Family(needs=dict(arch='tiny'), size=224, remark='images of 224 pixels'),
    RIFormer=Family(),
    RegNet=Family(needs=dict(arch='regnetx_400mf')),
    RepLKNet=Family(dict(arch=dict(
        large_kernel_sizes=[13, 9, 7, 5], layers=[1, 1, 1, 1], channels=[16, 16, 32, 32],
        small_kernel=5, dw_ratio=1)), remark='needs an `arch`'),
    RepMLPNet=Family(dict(arch=dict(channels=[16, 16, 32, 32], depths=[1, 1, 1, 1],
                                    sharesets_nums=[1, 1, 4, 4])), size=224,
                     remark='images of `img_size`; needs an `arch`'),
    RepVGG=Family(needs=dict(arch='A0')),
    Res2Net=Family(needs=dict(depth=50)),
    ResNeSt=Family(needs=dict(depth=50)),
    ResNeXt=Family(needs=dict(depth=50)),
    ResNet=Family(needs=dict(depth=50)),
    ResNetV1c=Family(needs=dict(depth=50)),
    ResNetV1d=Family(needs=dict(depth=50)),
    ResNet_CIFAR=Family(needs=dict(depth=50), size=32),
    RevVisionTransformer=Family(dict(arch=VIT, img_size=64), None),
    SEResNeXt=Family(needs=dict(depth=50)),
    SEResNet=Family(needs=dict(depth=50)),
    SVT=Family(needs=dict(arch='small')),
    ShuffleNetV1=Family(),
    ShuffleNetV2=Family(),
    SparseConvNeXt=Family(error=(AttributeError, "'NoneType' object has no attribute 'shape'"),
                          reason=MASKED.format('ConvNeXt')),
    SparseResNet=Family(dict(norm_cfg=dict(type='SparseBatchNorm2d')), needs=dict(depth=50),
                        error=(AttributeError, "'NoneType' object has no attribute 'shape'"),
                        reason=MASKED.format('ResNet')),
    SwinTransformer=Family(dict(arch=STAGES), size=224),
    SwinTransformerV2=Family(
        dict(arch=dict(STAGES, extra_norm_every_n_blocks=0)), size=256,
        computed=r'\.relative_(coords_table|position_index)$',
        remark='images of 256 pixels; not loaded strictly, since it computes its tables of '
               'relative positions anew'),
    T2T_ViT=Family(dict(img_size=64, num_layers=2), None),
    TIMMBackbone=Family(needs=dict(model_name='resnet18'), package='timm'),
    TNT=Family(dict(arch=dict(embed_dims_outer=32, embed_dims_inner=8, num_layers=2,
                              num_heads_outer=2, num_heads_inner=2)), None, size=224,
               remark='images of `img_size`'),
    TinyViT=Family(neck=None, size=224),
    VAN=Family(dict(arch='tiny')),
    VGG=Family(needs=dict(depth=11)),
    ViTEVA02=Family(dict(arch=VIT, img_size=64), None),
    ViTSAM=Family(dict(arch=dict(VIT, global_attn_indexes=[1]), img_size=64), None,
                  dict(out_type='avg_featmap')),
    Vig=Family(needs=dict(arch='tiny'), size=224, remark='images of 224 pixels'),
    VisionTransformer=Family(dict(arch=VIT, img_size=64), None),
    XCiT=Family(dict(embed_dims=32, depth=2, num_heads=2), None))
