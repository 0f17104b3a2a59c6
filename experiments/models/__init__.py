"""Networks of the experiments; every factory takes the pictures' shape (colours, height, width) and the classes."""

from experiments.models.lenet import lenet5
from experiments.models.resnet import CifarResNet, resnet20, resnet56
from experiments.models.shapes import Shape
from experiments.models.vgg import vgg11_bn

__all__ = ["CifarResNet", "Shape", "lenet5", "resnet20", "resnet56", "vgg11_bn"]
