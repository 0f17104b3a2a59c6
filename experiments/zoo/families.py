"""Small members of further families: timm, detection and video of torchvision, graphs, segmentation, YOLO from YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from experiments.zoo.network import CLASSES, Network, on_pictures

NODES, EDGES, FEATURES = 30, 90, 16


def _timm(name: str, pixels: int = 64, **options: Any) -> dict[str, Network]:
    def build() -> nn.Module:
        network: nn.Module = import_module("timm").create_model(name, pretrained=False, num_classes=CLASSES, **options)
        return network

    return {f"timm:{name}": on_pictures("timm", pixels, build)}


class Graph(nn.Module):
    """Two graph convolutions over the same edges in every graph of a batch, then a linear layer."""

    def __init__(self, first: nn.Module, second: nn.Module, width: int) -> None:
        super().__init__()
        self.first, self.second, self.head = first, second, nn.Linear(width, CLASSES)
        edges = torch.randint(0, NODES, (2, EDGES), generator=torch.Generator().manual_seed(0))
        self.edges: Tensor
        self.register_buffer("edges", edges)

    def forward(self, graphs: Tensor) -> Any:
        """Map nodes [B, N, 16] to scores [B, N, 11]."""
        graph = torch.arange(len(graphs), device=graphs.device)[:, None, None]
        edges = (self.edges[None] + NODES * graph).transpose(0, 1).flatten(1)
        nodes = self.second(self.first(graphs.flatten(0, 1), edges).relu(), edges).relu()
        return self.head(nodes).unflatten(0, (-1, NODES))


def _convolutions(kind: str, width: int = 24, heads: int = 1) -> nn.Module:
    made, many = getattr(import_module("torch_geometric.nn"), kind), {"heads": heads} if heads > 1 else {}
    first, second = (made(inputs, width, **many) for inputs in (FEATURES, width * heads))
    return Graph(first, second, width * heads)


def _by_networks() -> nn.Module:
    """Return the graph isomorphism network, whose convolutions are networks of their own."""
    made = import_module("torch_geometric.nn").GINConv
    inner = (
        nn.Sequential(nn.Linear(inputs, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 24))
        for inputs in (FEATURES, 24)
    )
    first, second = (made(one) for one in inner)
    return Graph(first, second, 24)


def _graph(name: str, build: Callable[[], nn.Module]) -> dict[str, Network]:
    size = f"{NODES} nodes, {EDGES} edges"
    return {f"graph:{name}": Network("torch_geometric", size, build, lambda: torch.randn(2, NODES, FEATURES))}


class Detector(nn.Module):
    """A detector that puts out boxes in both modes: in training it would want those of the pictures."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def train(self, mode: bool = True) -> Detector:  # noqa: ARG002
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, pictures: list[Tensor]) -> Any:
        """Return boxes, labels and scores of every picture [3, H, W]."""
        return self.network(pictures)


def _detector(name: str) -> dict[str, Network]:
    def build() -> nn.Module:
        options = {"min_size": 96, "max_size": 96} if "rcnn" in name or "retina" in name else {}
        network: nn.Module = torchvision.models.get_model(
            name, weights=None, weights_backbone=None, num_classes=CLASSES, **options
        )
        return Detector(network)

    return {f"detector:{name}": Network("torchvision", "two pictures, 96 x 96 pixels", build, _pair_of_pictures)}


def _video(name: str) -> dict[str, Network]:
    def build() -> nn.Module:
        network: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=CLASSES)
        return network

    return {f"video:{name}": Network("torchvision", "8 x 32 x 32", build, lambda: torch.randn(2, 3, 8, 32, 32))}


def _smp(kind: str, encoder: str = "resnet18") -> dict[str, Network]:
    def build() -> nn.Module:
        made = getattr(import_module("segmentation_models_pytorch"), kind)
        network: nn.Module = made(encoder, encoder_weights=None, classes=CLASSES)
        return network

    return {f"smp:{kind}": on_pictures("segmentation_models_pytorch", 64, build, f"with {encoder}")}


def _yolo(name: str) -> dict[str, Network]:
    def build() -> nn.Module:
        tasks = import_module("ultralytics.nn.tasks")
        network: nn.Module = tasks.DetectionModel(f"{name}.yaml", ch=3, nc=CLASSES, verbose=False)
        return network

    return {f"yolo:{name}": on_pictures("ultralytics", 64, build, "from its YAML")}


def _monai(name: str, **options: Any) -> dict[str, Network]:
    def build() -> nn.Module:
        made = getattr(import_module("monai.networks.nets"), name)
        network: nn.Module = made(spatial_dims=2, in_channels=1, out_channels=CLASSES, **options)
        return network

    return {f"monai:{name}": Network("monai", "64 x 64 pixels", build, _scans, "two dimensions")}


def _scans() -> Tensor:
    return torch.randn(2, 1, 64, 64)


def _pair_of_pictures() -> tuple[list[Tensor]]:
    return ([torch.rand(3, 96, 96) for _ in range(2)],)


FURTHER: Mapping[str, Network] = {
    **_graph("GCN", lambda: _convolutions("GCNConv")),
    **_graph("GraphSAGE", lambda: _convolutions("SAGEConv")),
    **_graph("GIN", _by_networks),
    **_graph("GAT", lambda: _convolutions("GATConv", 6, 12)),
    **_graph("GATv2", lambda: _convolutions("GATv2Conv", 6, 12)),
    **_graph("graph transformer", lambda: _convolutions("TransformerConv", 6, 12)),
    **_monai("UNet", channels=(8, 16, 32), strides=(2, 2)),
    **_monai("SwinUNETR", feature_size=12),
    **_monai("UNETR", img_size=64, feature_size=8, hidden_size=48, mlp_dim=96, num_heads=4),
    **_smp("Unet"),
    **_smp("UnetPlusPlus"),
    **_smp("FPN"),
    **_smp("PSPNet"),
    **_smp("MAnet"),
    **_smp("Linknet"),
    **_yolo("yolov8n"),
    **_yolo("yolo11n"),
    **_detector("ssdlite320_mobilenet_v3_large"),
    **_detector("fasterrcnn_mobilenet_v3_large_320_fpn"),
    **_detector("ssd300_vgg16"),
    **_video("r3d_18"),
    **_video("mc3_18"),
    **_video("r2plus1d_18"),
    **_timm("ghostnet_050"),
    **_timm("edgenext_xx_small"),
    **_timm("pvt_v2_b0"),
    **_timm("levit_128s", 224),
    **_timm("cait_xxs24_224", img_size=64, depth=4),
    **_timm("beit_base_patch16_224", img_size=64, depth=2, embed_dim=96, num_heads=4),
    **_timm("volo_d1_224", img_size=64),
    **_timm("twins_svt_small", img_size=64),
    **_timm("gcvit_xxtiny", img_size=64),
    **_timm("inception_next_atto"),
    **_timm("hiera_tiny_224", img_size=(64, 64)),
    **_timm("tnt_s_patch16_224", img_size=64, depth=2),
    **_timm("xcit_nano_12_p16_224", img_size=64, depth=2),
    **_timm("focalnet_tiny_srf"),
    **_timm("mobilevit_xxs"),
    **_timm("mobilevitv2_050"),
    **_timm("fastvit_t8"),
    **_timm("repvit_m0_9"),
    **_timm("efficientformer_l1", 224, depths=(1, 1, 1, 1)),
    **_timm("poolformer_s12"),
    **_timm("convmixer_768_32"),
    **_timm("resmlp_12_224", img_size=64),
    **_timm("mixer_s32_224", img_size=64),
    **_timm("gmlp_s16_224", img_size=64),
    **_timm("crossvit_tiny_240", 240, depth=((1, 1, 0), (1, 1, 0), (1, 1, 0))),
    **_timm("visformer_tiny", img_size=64, embed_dim=48, depth=(1, 1, 1)),
    **_timm("nest_tiny", img_size=64),
    **_timm("davit_tiny", depths=(1, 1, 1, 1), embed_dims=(24, 48, 96, 192)),
    **_timm("eva02_tiny_patch14_224", 56, img_size=56, depth=2),
    **_timm("dpn48b"),
    **_timm("selecsls42"),
    **_timm("hrnet_w18_small"),
    **_timm("dla34"),
    **_timm("skresnet18"),
    **_timm("res2net50_26w_4s"),
    **_timm("ese_vovnet19b_dw"),
    **_timm("rexnet_100"),
    **_timm("nfnet_l0", 64),
    **_timm("tinynet_e"),
    **_timm("lcnet_050"),
    **_timm("starnet_s1"),
}
