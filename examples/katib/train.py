"""A script for torchrun that prints `loss=…`, as Katib's StdOut collector reads it; it needs nothing of Fairlead."""

import argparse

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--width", type=int, required=True)
parser.add_argument("--steps", type=int, default=60)
options = parser.parse_args()

dist.init_process_group("gloo")
torch.manual_seed(dist.get_rank())
network = torch.nn.Sequential(torch.nn.Linear(8, options.width), torch.nn.Tanh(), torch.nn.Linear(options.width, 1))
model = DistributedDataParallel(network)
optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
for step in range(1, options.steps + 1):
    inputs = torch.randn(64, 8)
    loss = ((model(inputs) - inputs.sin().sum(1, keepdim=True)) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if dist.get_rank() == 0 and step % 10 == 0:
        print(f"loss={loss.item():.6f}", flush=True)
dist.destroy_process_group()
