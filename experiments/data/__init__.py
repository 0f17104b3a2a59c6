"""Data sets of the experiments, tensors first: one tensor per split, batched and augmented as tensors."""

from experiments.data.digits import Digits
from experiments.data.pictures import PictureData
from experiments.data.tensors import Batch, BatchOrder, SeededBatch, Split, TensorData
from experiments.data.vision import CIFAR10, CIFAR100, MNIST, FashionMNIST

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "Batch",
    "BatchOrder",
    "Digits",
    "FashionMNIST",
    "PictureData",
    "SeededBatch",
    "Split",
    "TensorData",
]
