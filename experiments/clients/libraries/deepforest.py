"""deepforest: classification of crops around trees, its network made small."""

from __future__ import annotations

from typing import Any

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, pictures


def client() -> Client:
    """Return CropModel around torchvision's ShuffleNet of half width."""
    import deepforest.model
    from torchvision.models import shufflenet_v2_x0_5

    # The library's own network is a ResNet-50 whose weights it would download, at a reload too.
    deepforest.model.simple_resnet_50 = lambda num_classes: shufflenet_v2_x0_5(weights=None, num_classes=num_classes)

    def module() -> Any:
        model = deepforest.model.CropModel()
        model.create_model(3)
        model.label_dict = {"red": 0, "green": 1, "blue": 2}
        model.numeric_to_label_dict = {index: name for name, index in model.label_dict.items()}
        return model

    return Client(
        module=module,
        data=Loaders(*both(lambda count, seed: pictures(count, seed, 32, 0.3), 64)),
        metric="val_loss",
        what="CropModel, ShuffleNet, squares in noise",
        style="hyper-parameters hold a configuration; on_load_checkpoint builds a new network before weights are read",
    )
