"""Data sets of the experiments: small ones are one tensor per split, batched and augmented as tensors."""

from experiments.training.data.digits import Digits
from experiments.training.data.folder import ImageFolder
from experiments.training.data.forecasting import ETTh1
from experiments.training.data.module import Batch, LabelledData, SeededBatch, SplitName
from experiments.training.data.order import BatchOrder
from experiments.training.data.pictures import PictureData
from experiments.training.data.tensors import Split, TensorData
from experiments.training.data.text import SST2
from experiments.training.data.vision import CIFAR10, CIFAR100, MNIST, FashionMNIST

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "SST2",
    "Batch",
    "BatchOrder",
    "Digits",
    "ETTh1",
    "FashionMNIST",
    "ImageFolder",
    "LabelledData",
    "PictureData",
    "SeededBatch",
    "Split",
    "SplitName",
    "TensorData",
]
