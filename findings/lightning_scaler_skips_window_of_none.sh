#!/usr/bin/env bash
# lightning 2.6.6: with a gradient scaler (16-mixed), an accumulation window whose last batch returned None takes no step,
# and on_before_optimizer_step is called all the same, with gradients that still carry the scale.
# Expected: None skips one batch; the window steps with the gradients of its other batch, and the hook, where gradients
# are logged or changed, sees them unscaled, as for every other window. Seen: 512 for a gradient of 0.5, and the same weights
# before and after; without a scaler the window does take its step.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet lightning==2.6.6 torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import torch
import lightning.pytorch as L
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.plugins.precision import MixedPrecision

SCALE = 1024.0


class Model(BoringModel):
    """Gives no loss for the last batch of the second window."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def training_step(self, batch, batch_idx):
        # The gradient of the bias is one for every batch, whatever the weights are.
        return None if batch_idx == 3 else self.layer(batch).sum(dim=1).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)

    def on_before_optimizer_step(self, optimizer):
        self.seen.append((self.layer.bias.grad[0].item(), self.layer.bias[0].item()))

    def on_train_end(self):
        self.after = self.layer.bias[0].item()


def fitted(plugin):
    torch.manual_seed(0)
    model = Model()
    quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    limits = dict(max_epochs=1, limit_train_batches=4, limit_val_batches=0, accumulate_grad_batches=2)
    L.Trainer(accelerator="cpu", plugins=plugin, **limits, **quiet).fit(model)
    return model


scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, growth_interval=1000)
model = fitted(MixedPrecision("16-mixed", "cpu", scaler))
(whole, before), (scaled, between) = model.seen
print(f"window that ends in a loss: gradient {whole}, bias {before:.3f} -> {between:.3f}")
print(f"window that ends in None: gradient {scaled}, bias {between:.3f} -> {model.after:.3f}")
assert whole == 1.0 and abs(before - between - 0.5) < 1e-6
assert scaled == 0.5 * SCALE and model.after == between
plain = fitted([])
(_, (half, start)) = plain.seen
print(f"the same without a scaler: gradient {half}, bias {start:.3f} -> {plain.after:.3f}")
assert half == 0.5 and abs(start - plain.after - 0.25) < 1e-6
PYTHON
