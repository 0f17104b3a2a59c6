"""Data sets of the experiments: small ones are one tensor per split, batched and augmented as tensors."""

from experiments.data.digits import Digits
from experiments.data.folder import ImageFolder
from experiments.data.module import Batch, LabelledData, SeededBatch, SplitName
from experiments.data.order import BatchOrder
from experiments.data.pictures import PictureData
from experiments.data.tensors import Split, TensorData
from experiments.data.text import SST2
from experiments.data.vision import CIFAR10, CIFAR100, MNIST, FashionMNIST

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "SST2",
    "Batch",
    "BatchOrder",
    "Digits",
    "FashionMNIST",
    "ImageFolder",
    "LabelledData",
    "PictureData",
    "SeededBatch",
    "Split",
    "SplitName",
    "TensorData",
]
