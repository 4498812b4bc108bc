#!/usr/bin/env python3
"""The CPU bar: tokens/s of PyTorch eager training the Llama shape that weft trains, on the same cores.

The same mathematics as weft's step: grouped-query causal attention (F.scaled_dot_product_attention), RMSNorm, RoPE,
SwiGLU, cross-entropy over every token, global-norm clipping, AdamW. PyTorch's own fused operators are used where it has
them; nothing is compiled. Where PyTorch offers two ways (fused or foreach AdamW; for bf16, autocast over f32 weights or
bf16 weights beside f32 masters) both are timed and the faster one counts. Tokens are random: only speed is measured.

    bench/torch_cpu.py --shape 160m --precision bf16 --threads 2
    bench/torch_cpu.py --shape quickstart             # the shape of configs/quickstart.yaml
    bench/torch_cpu.py --config DIR/config.json --sequence-length 512 --micro-batch 4

People read stderr; stdout is one JSON line. Needs torch and PyYAML.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import time

import torch
import torch.nn.functional as F
import yaml
from torch import nn

QUICKSTART = pathlib.Path(__file__).parent.parent / "configs" / "quickstart.yaml"
SHAPE_160M = dict(
    model=dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, num_key_value_heads=12,
               intermediate_size=2048, vocab_size=50304, tie_word_embeddings=True),
    data=dict(sequence_length=1024), train_micro_batch_size_per_gpu=1)
CPU_FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile")
NUM_WARM_UP_STEPS = 2


class Shape:
    """The fields of Hugging Face's config.json that matter for speed, by this project's letters."""

    def __init__(self, model):
        self.D, self.L, self.F = model["hidden_size"], model["num_hidden_layers"], model["intermediate_size"]
        self.H, self.V = model["num_attention_heads"], model["vocab_size"]
        self.K = model.get("num_key_value_heads") or self.H
        self.Q = model.get("head_dim") or self.D // self.H
        self.tied = model.get("tie_word_embeddings", False)
        self.eps = model.get("rms_norm_eps", 1e-5)
        self.rope_theta = model.get("rope_theta") or model.get("rope_parameters", {}).get("rope_theta", 10000.0)

    def flops_per_token(self, sequence_length):
        """Multiply-adds counted twice: 6 per matrix weight, and causal attention without recomputation."""
        block = self.D * self.Q * (2 * self.H + 2 * self.K) + 3 * self.D * self.F
        return 6 * (self.L * block + self.D * self.V + self.L * sequence_length * self.H * self.Q)


class Block(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        self.attention_norm = nn.Parameter(torch.ones(s.D))
        self.q, self.o = nn.Linear(s.D, s.H * s.Q, bias=False), nn.Linear(s.H * s.Q, s.D, bias=False)
        self.k, self.v = (nn.Linear(s.D, s.K * s.Q, bias=False) for _ in range(2))
        self.mlp_norm = nn.Parameter(torch.ones(s.D))
        self.gate, self.up = (nn.Linear(s.D, s.F, bias=False) for _ in range(2))
        self.down = nn.Linear(s.F, s.D, bias=False)

    def attention(self, x, cos, sin):
        def heads(y):
            return y.view(*y.shape[:2], -1, self.s.Q).transpose(1, 2)

        def rotate(y):
            a, b = y.chunk(2, dim=-1)
            return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)

        q, k, v = rotate(heads(self.q(x))), rotate(heads(self.k(x))), heads(self.v(x))
        q, k = q.to(v.dtype), k.to(v.dtype)  # autocast leaves the rotation in f32
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.s.K < self.s.H)
        return self.o(y.transpose(1, 2).flatten(2))

    def forward(self, x, cos, sin):
        x = x + self.attention(F.rms_norm(x, (self.s.D,), self.attention_norm, self.s.eps), cos, sin)
        h = F.rms_norm(x, (self.s.D,), self.mlp_norm, self.s.eps)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    def __init__(self, s, sequence_length):
        super().__init__()
        self.s = s
        self.embedding = nn.Embedding(s.V, s.D)
        self.blocks = nn.ModuleList(Block(s) for _ in range(s.L))
        self.norm = nn.Parameter(torch.ones(s.D))
        self.head = nn.Linear(s.D, s.V, bias=False)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)
        if s.tied:
            self.head.weight = self.embedding.weight
        inv_freq = s.rope_theta ** (-torch.arange(0, s.Q, 2) / s.Q)
        angles = torch.outer(torch.arange(sequence_length), inv_freq)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def loss(self, tokens, targets):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = self.head(F.rms_norm(x, (self.s.D,), self.norm, self.s.eps))
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


class Training:
    """One step of training. `variant`: f32, bf16-autocast (f32 weights), bf16-weights (f32 masters beside them)."""

    def __init__(self, shape, sequence_length, variant, adamw):
        self.model = Llama(shape, sequence_length)
        self.variant = variant
        self.masters = list(self.model.parameters())
        if variant == "bf16-weights":
            self.masters = [nn.Parameter(p.detach().clone()) for p in self.masters]
            self.model.bfloat16()
        groups = [dict(params=[p for p in self.masters if p.dim() > 1], weight_decay=0.1),
                  dict(params=[p for p in self.masters if p.dim() == 1], weight_decay=0.0)]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), eps=1e-8, **{adamw: True})

    def compute_context(self):
        if self.variant == "bf16-autocast":
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def step(self, tokens, targets):
        with self.compute_context():
            loss = self.model.loss(tokens, targets)
        loss.backward()
        self.update()
        return loss.item()

    def update(self):
        separate = self.variant == "bf16-weights"
        if separate:
            for master, p in zip(self.masters, self.model.parameters()):
                master.grad = p.grad.float()
                p.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if separate:
            with torch.no_grad():
                torch._foreach_copy_(list(self.model.parameters()), self.masters)


def seconds_of_update(training):
    for p in training.model.parameters():
        p.grad = torch.zeros_like(p)
    start = time.perf_counter()
    training.update()
    return time.perf_counter() - start


def faster_adamw(shape, sequence_length, variant):
    """fused or foreach, by the shortest of four updates each (the first also makes the moments)."""
    def best(adamw):
        training = Training(shape, sequence_length, variant, adamw)
        return min(seconds_of_update(training) for _ in range(4))
    return min(("fused", "foreach"), key=best)


def profile(training, batch):
    """Prints where one step's time goes, by operator."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as p:
        training.step(*batch)
    print(p.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=60),
          file=sys.stderr)


def measure(shape, sequence_length, micro_batch, variant, args):
    adamw = faster_adamw(shape, sequence_length, variant)
    training = Training(shape, sequence_length, variant, adamw)
    tokens = torch.randint(0, shape.V, (micro_batch, sequence_length + 1))
    batch = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    seconds = []
    for step in range(NUM_WARM_UP_STEPS + args.steps):
        start = time.perf_counter()
        loss = training.step(*batch)
        seconds.append(time.perf_counter() - start)
        print(f"{variant} step {step + 1}: loss {loss:.4f}, {seconds[-1]:.3f} s", file=sys.stderr)
    if args.profile:
        profile(training, batch)
    timed = seconds[NUM_WARM_UP_STEPS:]
    median = statistics.median(timed)
    tokens_per_s = micro_batch * sequence_length / median
    return dict(variant=variant, adamw=adamw, tokens_per_s=round(tokens_per_s, 1), step_ms=round(1e3 * median, 1),
                fastest_step_ms=round(1e3 * min(timed), 1),
                gflops=round(tokens_per_s * shape.flops_per_token(sequence_length) / 1e9, 1))


def cpu():
    """The processor's name and which of the instructions that matter here it has (Linux)."""
    fields = dict(line.split(":", 1) for line in open("/proc/cpuinfo") if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    return dict(name=fields.get("model name"), flags=[f for f in CPU_FLAGS if f in fields.get("flags", "").split()])


def read_settings(args):
    """(shape, sequence length, micro-batch) from a weft config, a Hugging Face config.json, and the command line."""
    if args.config or args.shape == "quickstart":
        settings = yaml.safe_load((args.config or QUICKSTART).read_text())  # JSON is YAML
        if "model" not in settings:
            settings = dict(model=settings)
    else:
        settings = SHAPE_160M
    sequence_length = args.sequence_length or settings.get("data", {}).get("sequence_length")
    micro_batch = args.micro_batch or settings.get("train_micro_batch_size_per_gpu")
    if not (sequence_length and micro_batch):
        sys.exit("This config names no sequence length or micro-batch: give --sequence-length and --micro-batch")
    return Shape(settings["model"]), sequence_length, micro_batch


def parse_arguments():
    parser = argparse.ArgumentParser(description="Tokens/s of PyTorch eager training on CPU.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--shape", choices=("quickstart", "160m"))
    what.add_argument("--config", type=pathlib.Path, help="a weft YAML config or a Hugging Face config.json")
    parser.add_argument("--sequence-length", type=int)
    parser.add_argument("--micro-batch", type=int, help="sequences a step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--steps", type=int, default=5, help="timed steps; their median counts")
    parser.add_argument("--profile", action="store_true", help="also print one step's time by operator")
    return parser.parse_args()


def main():
    args = parse_arguments()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    shape, sequence_length, micro_batch = read_settings(args)
    variants = ["f32"] if args.precision == "f32" else ["bf16-autocast", "bf16-weights"]
    runs = [measure(shape, sequence_length, micro_batch, variant, args) for variant in variants]
    best = max(runs, key=lambda run: run["tokens_per_s"])
    print(json.dumps(dict(shape=args.shape or str(args.config), sequence_length=sequence_length,
                          micro_batch=micro_batch, threads=args.threads, precision=args.precision) | best
                     | dict(tried=runs, torch=torch.__version__, cpu=cpu())))


if __name__ == "__main__":
    main()
