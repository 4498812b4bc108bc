# Writes lr_tables.txt: learning rates of DeepSpeed's own schedulers, and of our three from PyTorch's LambdaLR.
# Run: python tests/optim/make_lr_tables.py PATH/TO/deepspeed/runtime/lr_schedules.py > tests/optim/lr_tables.txt
# (DeepSpeed 0.19.6; only that file is needed.)
import importlib.util
import json
import logging
import math
import sys
import types

import torch

deepspeed_utils = types.ModuleType("deepspeed.utils")
deepspeed_utils.logger = logging.getLogger("deepspeed")
deepspeed_utils.logger.setLevel(logging.ERROR)
sys.modules["deepspeed"] = types.ModuleType("deepspeed")
sys.modules["deepspeed.utils"] = deepspeed_utils
spec = importlib.util.spec_from_file_location("lr_schedules", sys.argv[1])
lr_schedules = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lr_schedules)


def rates(make_scheduler, lr, steps):
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make_scheduler(optimizer)
    result = []
    for _ in range(steps):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return result


def ours(kind, lr, steps, warmup_steps=0, total_num_steps=None, min_lr=0.0):
    total = total_num_steps or steps

    def factor(epoch):  # LambdaLR counts from 0
        step = epoch + 1
        if step <= warmup_steps:
            return step / warmup_steps
        if kind == "constant":
            return 1.0
        progress = min(1.0, (step - warmup_steps) / (total - warmup_steps))
        height = {"linear": 1 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}[kind]
        return min_lr / lr + (1 - min_lr / lr) * height

    return lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


CASES = [
    ("constant", 0.1, 6, {}),
    ("constant", 0.1, 8, {"warmup_steps": 4}),
    ("linear", 0.1, 12, {"warmup_steps": 3, "min_lr": 0.01}),
    ("linear", 0.1, 8, {}),
    ("cosine", 0.1, 14, {"warmup_steps": 4, "min_lr": 0.02}),
    ("cosine", 0.1, 10, {"total_num_steps": 7}),
    ("WarmupLR", 0.02, 12, {"warmup_num_steps": 8}),
    ("WarmupLR", 0.02, 8, {"warmup_num_steps": 1}),
    ("WarmupLR", 0.02, 9, {
        "warmup_min_lr": 0.001, "warmup_max_lr": 0.05, "warmup_num_steps": 5, "warmup_type": "linear"
    }),
    ("WarmupDecayLR", 0.02, 20, {"total_num_steps": 16, "warmup_num_steps": 4}),
    ("WarmupDecayLR", 0.02, 16, {
        "total_num_steps": 12, "warmup_min_lr": 0.002, "warmup_max_lr": 0.02, "warmup_num_steps": 5,
        "warmup_type": "linear"
    }),
    ("WarmupDecayLR", 0.02, 8, {"total_num_steps": 3, "warmup_num_steps": 5}),
    ("WarmupCosineLR", 0.02, 20, {"total_num_steps": 16, "warmup_num_steps": 4}),
    ("WarmupCosineLR", 0.02, 16, {
        "total_num_steps": 12, "warmup_min_ratio": 0.1, "warmup_num_steps": 3, "cos_min_ratio": 0.05,
        "warmup_type": "linear"
    }),
    ("WarmupCosineLR", 0.02, 8, {"total_num_steps": 3, "warmup_num_steps": 5}),
    ("OneCycle", 0.02, 16, {
        "cycle_min_lr": 0.001, "cycle_max_lr": 0.01, "cycle_first_step_size": 5, "cycle_momentum": False
    }),
    ("OneCycle", 0.02, 20, {
        "cycle_min_lr": 0.001, "cycle_max_lr": 0.01, "cycle_first_step_size": 4, "cycle_second_step_size": 7,
        "decay_step_size": 3, "decay_lr_rate": 0.5, "cycle_momentum": False
    }),
    ("OneCycle", 0.02, 24, {
        "cycle_min_lr": 0.001, "cycle_max_lr": 0.01, "cycle_first_step_size": 9, "cycle_second_step_size": 12,
        "cycle_first_stair_count": 3, "cycle_second_stair_count": 5, "cycle_momentum": False
    }),
    ("OneCycle", 0.02, 8, {
        "cycle_min_lr": 0.001, "cycle_max_lr": 0.01, "cycle_first_step_size": 5, "cycle_second_step_size": 0,
        "cycle_momentum": False
    }),
    ("LRRangeTest", 0.02, 10, {
        "lr_range_test_min_lr": 0.0001, "lr_range_test_step_size": 4, "lr_range_test_step_rate": 5.0
    }),
    ("LRRangeTest", 0.02, 10, {"lr_range_test_step_size": 3, "lr_range_test_staircase": True}),
]

print("# Written by make_lr_tables.py: type | lr | steps | params | learning rates of steps 1, 2, ...")
for kind, lr, steps, params in CASES:
    deepspeed_class = getattr(lr_schedules, kind, None)
    make = (lambda o: deepspeed_class(o, **params)) if deepspeed_class else ours(kind, lr, steps, **params)
    values = " ".join(repr(float(value)) for value in rates(make, lr, steps))
    print(f"{kind} | {lr} | {steps} | {json.dumps(params)} | {values}")
