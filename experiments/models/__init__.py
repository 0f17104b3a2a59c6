"""Networks of the experiments; every factory takes the pictures' shape (colours, height, width) and the classes."""

from experiments.models.layers import Shape, colours
from experiments.models.lenet import lenet5
from experiments.models.mobilenet import CifarMobileNetV2, mobilenet_v2
from experiments.models.resnet import CifarResNet, resnet20, resnet32, resnet44, resnet56, resnet110
from experiments.models.vgg import CifarVGG, vgg11_bn, vgg16_bn, vgg19_bn
from experiments.models.weights import start_from
from experiments.models.zoo import timm_model, torchvision_model

__all__ = [
    "CifarMobileNetV2",
    "CifarResNet",
    "CifarVGG",
    "Shape",
    "colours",
    "lenet5",
    "mobilenet_v2",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "start_from",
    "timm_model",
    "torchvision_model",
    "vgg11_bn",
    "vgg16_bn",
    "vgg19_bn",
]
