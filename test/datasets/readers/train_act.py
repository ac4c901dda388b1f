"""Trains LeRobot's ACT policy, made tiny: train_act.py ROOT [STEPS] [DECODER].

It takes the statistics, the features and chunks of four actions from the dataset, as LeRobot's
training does, and prints the losses. Exits with an error if a loss is not finite.
"""

from __future__ import annotations

import json
import math
import sys
import time

import torch
from lerobot.configs.types import FeatureType
from lerobot.datasets.factory import resolve_delta_timestamps
from lerobot.datasets.lerobot_dataset import LeRobotDataset, LeRobotDatasetMetadata
from lerobot.datasets.utils import dataset_to_policy_features
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.act.processor_act import make_act_pre_post_processors
from torch.utils.data import DataLoader, RandomSampler


def configuration(meta: LeRobotDatasetMetadata) -> ACTConfig:
    """Return the smallest ACT for what the dataset observes and does."""
    features = dataset_to_policy_features(meta.features)
    acts = {key: one for key, one in features.items() if one.type is FeatureType.ACTION}
    return ACTConfig(
        input_features={key: one for key, one in features.items() if key not in acts},
        output_features=acts, device="cpu", pretrained_backbone_weights=None, chunk_size=4,
        n_action_steps=4, dim_model=32, n_heads=2, dim_feedforward=64, n_encoder_layers=1,
        n_decoder_layers=1, n_vae_encoder_layers=1, latent_dim=8, dropout=0.0,
    )  # fmt: skip


def main(root: str, steps: str = "10", decoder: str = "torchcodec") -> None:
    torch.manual_seed(0)
    meta = LeRobotDatasetMetadata("test/train", root=root)
    config = configuration(meta)
    ahead = resolve_delta_timestamps(config, meta)
    data = LeRobotDataset("test/train", root, delta_timestamps=ahead, video_backend=decoder)
    policy = ACTPolicy(config)
    prepare, _ = make_act_pre_post_processors(config, meta.stats)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=3e-3)
    drawn = RandomSampler(data, replacement=True, num_samples=8 * int(steps))
    losses, began = [], time.monotonic()
    for batch in DataLoader(data, batch_size=8, sampler=drawn):
        loss, _ = policy(prepare(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(json.dumps({"losses": losses, "seconds": time.monotonic() - began}))
    assert all(map(math.isfinite, losses))


if __name__ == "__main__":
    main(*sys.argv[1:])
