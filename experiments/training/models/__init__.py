"""Networks of the experiments; every factory takes the pictures' shape (colours, height, width) and the classes."""

from experiments.training.models.layers import Shape, colours
from experiments.training.models.lenet import lenet5
from experiments.training.models.mobilenet import CifarMobileNetV2, mobilenet_v2
from experiments.training.models.resnet import CifarResNet, resnet20, resnet32, resnet44, resnet56, resnet110
from experiments.training.models.vgg import CifarVGG, vgg11_bn, vgg16_bn, vgg19_bn
from experiments.training.models.weights import start_from
from experiments.training.models.zoo import timm_model, torchvision_model

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
