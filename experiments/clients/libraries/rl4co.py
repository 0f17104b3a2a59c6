"""rl4co: short tours through cities, learned by reinforcement."""

from __future__ import annotations

from typing import Any

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import SAMPLES


def loader(module_seed: int, *, shuffle: bool) -> Any:
    """Return cities in the plane, drawn by the environment itself and collated as it does."""
    import torch
    from rl4co.envs import TSPEnv
    from torch.utils.data import DataLoader

    with torch.random.fork_rng():
        torch.manual_seed(module_seed)
        data = TSPEnv(generator_params={"num_loc": 8}).dataset(batch_size=[SAMPLES])
    return DataLoader(data, batch_size=16, shuffle=shuffle, collate_fn=data.collate_fn)


def client() -> Client:
    """Return REINFORCE with an attention policy of width 32 and an exponential baseline."""
    from rl4co.envs import TSPEnv
    from rl4co.models import REINFORCE, AttentionModelPolicy

    def module() -> Any:
        env = TSPEnv(generator_params={"num_loc": 8})
        policy = AttentionModelPolicy(
            env_name="tsp", embed_dim=32, num_encoder_layers=2, num_heads=4, feedforward_hidden=64
        )
        sizes = {"batch_size": 16, "train_data_size": SAMPLES, "val_data_size": SAMPLES, "test_data_size": SAMPLES}
        return REINFORCE(env, policy, baseline="exponential", optimizer_kwargs={"lr": 1e-3}, **sizes)

    return Client(
        module=module,
        data=Loaders(lambda: loader(1, shuffle=True), lambda: loader(2, shuffle=False)),
        metric="val/reward",
        mode="max",
        epochs=20,
        what="REINFORCE, attention policy, tours of 8 cities",
        style="batch is a TensorDict; the policy is called with the environment beside it and decodes one city after "
        "the other at random; the loss has no targets",
    )
