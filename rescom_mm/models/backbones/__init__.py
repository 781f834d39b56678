from .frozen_conv_resnet import FrozenConvResNet
from .resnet_cifar import ResNetCIFAR

__all__ = ['FrozenConvResNet', 'ResNetCIFAR']
