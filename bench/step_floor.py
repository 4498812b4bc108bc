"""The floor of one training step, and the tables of bench/h200-floors.md, from the JSON lines of h200_floors.

usage: step_floor.py FLOORS.jsonl

The floor of a step of T = 8192 tokens (two documents of 4096, packed) adds up what the machine gives for each part,
one after the other, nothing overlapped and nothing recomputed:

  linears     L x (measured us of qkv, attention_out, gate_up, down), forward, data gradient, weight gradient (f32, +=)
  attention   L x (measured us), packed documents, forward and backward
  head        T / chunk x (measured us), the better of chunks of 1024 and 2048 tokens
  memory      bytes that each fused pass must move / measured copy bandwidth (per token and layer, bf16 activations):
                residual add and RMSNorm: x, branch in; x, y out: 4 D, twice; backward x, dy, dx in; dx out: 4 D, twice
                RoPE of q and k in place: 2 (H + K) Q forward, the same backward
                SwiGLU: 2 F in, F out; backward 2 F + F in, 2 F out, F out again for the weight gradient
              and per token: embedding 2 D out and 2 D back (f32 rows read and written: + 8 D bytes), final norm as
                above, cross-entropy: logits read twice, gradient written once: 3 V
  optimizer   per parameter: gradient norm reads 4 bytes; AdamW reads gradient, master, m, v (16 bytes) and writes
              master, m, v and the bf16 weight (14 bytes)
  FP8 casts   per token and layer: inputs of the four linears (2 D + H Q + F elements) and their output gradients
              ((H + 2 K) Q + 2 D + 2 F) read in bf16, written in FP8 twice (straight and transposed): 4 bytes an
              element; the block weights once a step, likewise 4 bytes

MFU = 6 T (block weights + head) + 3 x 4 H Q L sum(length^2) / 2 causal FLOPs, over the floor and 989 TFLOP/s.
"""
import json
import sys

TOKENS, VOCAB, PEAK = 8192, 128256, 989e12
LENGTHS = (4096, 4096)
SHAPES = {  # model dim, ffn dim, heads, kv heads, head dim, layers, tied head
    "llama-1b": (2048, 8192, 32, 8, 64, 16, True),
    "llama-3b": (3072, 8192, 24, 8, 128, 28, True),
    "llama-8b": (4096, 14336, 32, 8, 128, 32, False),
}
LINEARS = ("qkv", "attention_out", "gate_up", "down")
PASSES = ("forward", "data_gradient", "weight_gradient")
CLOCKS = {"sustained": ("us", "tflops"), "burst": ("burst_us", "burst_tflops")}


class Floors:
    def __init__(self, lines):
        self.lines = lines

    def gemm(self, what, model, linear, part, scale=None, fast=None):
        for line in self.lines:
            wanted = (line["what"], line.get("model"), line.get("linear"), line.get("pass"))
            if wanted != (what, model, linear, part):
                continue
            if scale and (line["scale_a"], line["scale_b"], line["fast_accumulation"]) != (*scale, fast):
                continue
            return line
        raise SystemExit(f"no {what} {model} {linear} {part} {scale} {fast}")

    def attention(self, model, case):
        return next(l for l in self.lines if l["what"] == "attention" and (l["model"], l["case"]) == (model, case))

    def bandwidth(self):  # bytes per second, read plus written, at the size of a layer's activations
        return 1e9 * next(l["gb_per_s"] for l in self.lines if l["what"] == "copy_d2d_memcpy" and l["bytes"] == 2**28)


def block_weights(model):
    d, f, h, k, q, layers, _ = SHAPES[model]
    return layers * (d * (h + 2 * k) * q + h * q * d + 3 * d * f)


def model_flops(model):
    d, _, h, _, q, layers, _ = SHAPES[model]
    attention = 3 * 4 * h * q * layers * sum(n * n for n in LENGTHS) / 2
    return 6 * TOKENS * (block_weights(model) + d * VOCAB) + attention


def step_parts(floors, model, clock, fp8):
    """Seconds by part. fp8: None, or whether the gradients accumulate fast as the forward does."""
    d, f, h, k, q, layers, tied = SHAPES[model]
    us = CLOCKS[clock][0]
    parts = {}
    for part in PASSES:
        if fp8 is None:
            rows = [floors.gemm("gemm_bf16", model, linear, part) for linear in LINEARS]
        else:
            fast = fp8 or part == "forward"
            rows = [floors.gemm("gemm_fp8", model, linear, part, ("tensor", "tensor"), fast) for linear in LINEARS]
        parts[f"linears {part}"] = layers * sum(row[us] for row in rows) / 1e6
    attention = floors.attention(model, "packed 2x4096, S 8192")
    for part in ("forward", "backward"):
        parts[f"attention {part}"] = layers * attention[part][us] / 1e6
    parts["head"] = min(
        TOKENS / chunk * sum(floors.gemm("gemm_bf16", model, f"head_{chunk}", part)[us] for part in PASSES) / 1e6
        for chunk in (1024, 2048))
    norm_and_residual = 4 * d + 4 * d
    per_layer = 2 * norm_and_residual + 2 * 2 * (h + k) * q + 3 * f + 6 * f
    activation_bytes = TOKENS * (2 * (layers * per_layer + norm_and_residual + 4 * d + 3 * VOCAB) + 8 * d)
    parts["memory-bound passes"] = activation_bytes / floors.bandwidth()
    if fp8 is not None:
        elements = 2 * d + h * q + f + (h + 2 * k) * q + 2 * d + 2 * f
        parts["FP8 casts"] = 4 * (TOKENS * layers * elements + block_weights(model)) / floors.bandwidth()
    parameters = block_weights(model) + d * VOCAB * (1 if tied else 2) + (2 * layers + 1) * d
    parts["optimizer"] = parameters * (4 + 30) / floors.bandwidth()
    return parts


def table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "|".join("---" if i == 0 else "---:" for i in range(len(header))) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def pair(line):
    return f"{line['tflops']:.0f} / {line['burst_tflops']:.0f}"


def print_step_floors(floors):
    for model in SHAPES:
        columns = {(name, clock): step_parts(floors, model, clock, fp8)
                   for name, fp8 in (("bf16", None), ("FP8, gradients full", False), ("FP8, all fast", True))
                   for clock in CLOCKS}
        names = list(columns[("FP8, all fast", "burst")])
        rows = [[part] + [f"{1e3 * parts[part]:.1f}" if part in parts else "" for parts in columns.values()]
                for part in names]
        totals = [sum(parts.values()) for parts in columns.values()]
        rows.append(["**sum, ms**"] + [f"**{1e3 * total:.1f}**" for total in totals])
        rows.append(["**tokens/s**"] + [f"**{TOKENS / total:.0f}**" for total in totals])
        rows.append(["**MFU (989), %**"] + [f"**{100 * model_flops(model) / total / PEAK:.1f}**" for total in totals])
        print(f"**{model}**, {model_flops(model) / 1e12:.0f} TFLOP a step\n")
        table(["ms a step"] + [f"{name}, {clock}" for name, clock in columns], rows)


def print_gemm_bf16(floors):
    rows = []
    for model in SHAPES:
        for linear in LINEARS + ("head_1024", "head_2048"):
            lines = [floors.gemm("gemm_bf16", model, linear, part) for part in PASSES]
            slower = max(line["first_choice_over_best"] for line in lines)
            rows.append([f"{model} {linear}", f"{lines[0]['m']} x {lines[0]['k']}"] + [pair(line) for line in lines] +
                        [f"{slower:.2f}"])
    square = floors.gemm("gemm_bf16", "none", "square_8192", "forward")
    rows.append(["square", "8192 x 8192", pair(square), "", "", f"{square['first_choice_over_best']:.2f}"])
    table(["TFLOP/s, sustained / burst", "N x K", "forward", "data gradient", "weight gradient",
           "first choice slower by"], rows)


def print_gemm_fp8(floors):
    rows = []
    for model in SHAPES:
        for linear in LINEARS:
            cells = [pair(floors.gemm("gemm_fp8", model, linear, part, ("tensor", "tensor"), fast))
                     for part in PASSES for fast in (False, True)]
            rows.append([f"{model} {linear}"] + cells)
    table(["tensor scaling, TFLOP/s"] + [f"{part}, {'fast' if fast else 'full'}" for part in
                                         ("forward", "data grad.", "weight grad.") for fast in (False, True)], rows)
    rows = []
    for line in floors.lines:
        if line["what"] == "gemm_fp8" and line["model"] == "llama-8b" and line["linear"] in ("gate_up", "down"):
            if "unsupported" not in line:
                rows.append([line["linear"], line["pass"], f"{line['a']} x {line['b']}",
                             f"{line['scale_a']} x {line['scale_b']}", "fast" if line["fast_accumulation"] else "full",
                             pair(line), f"{line['error']:.1e}"])
    rows.sort(key=lambda row: (row[0], PASSES.index(row[1]), row[3], row[4]))
    table(["8B linear", "pass", "types A x B", "scales A x B", "accumulation", "TFLOP/s", "error"], rows)


def print_fp8_support(floors):
    """Which of the probed combinations the library ran, by layout and scale modes."""
    probes = [line for line in floors.lines if line["what"] == "fp8_support"]
    rows = []
    for key in dict.fromkeys((l["layout"], l["scale_a"], l["scale_b"]) for l in probes):
        group = [l for l in probes if (l["layout"], l["scale_a"], l["scale_b"]) == key]
        ran = [l for l in group if l.get("run") == "success"]
        if not ran:
            continue
        cells = []
        for fast in (False, True):
            here = [l for l in ran if l["fast_accumulation"] == fast]
            cells.append(", ".join(sorted({f"{l['a']} x {l['b']}" for l in here})) or "none")
        outputs = sorted({f"{l['d']}, beta {l['beta']:.0f}" for l in ran})
        worst = max(line["error"] for line in ran)
        rows.append([f"{key[0]} {key[1]} x {key[2]}", *cells, "; ".join(outputs), f"{worst:.1e}"])
    table(["layout, scales A x B", "types, full accumulation", "types, fast", "outputs", "worst error"], rows)
    ran = sum(line.get("run") == "success" for line in probes)
    print(f"{len(probes)} combinations probed, {ran} ran; a row that is absent ran in none.\n")


def print_attention(floors):
    rows = []
    for line in floors.lines:
        if line["what"] != "attention":
            continue
        name = f"{line['model']} {line['case']}"
        if "forward" not in line:
            reason = line.get("backward_unsupported") or f"workspace {line['backward_workspace_bytes'] / 1e9:.1f} GB"
            rows.append([name, "not run", reason, "", "", ""])
            continue
        forward, backward = line["forward"], line["backward"]
        rows.append([name, pair(forward), pair(backward), f"{forward['us']:.0f} + {backward['us']:.0f}",
                     f"{backward['workspace_bytes'] / 1e6:.0f}",
                     " ".join(f"{line['error_' + name]:.0e}" for name in ("o", "dq", "dk", "dv"))])
    table(["case", "forward TFLOP/s", "backward TFLOP/s", "us, sustained", "backward workspace MB",
           "errors o dq dk dv"], rows)


def print_copies(floors):
    rows = [[line["what"], f"{line['bytes'] / 2**20:.0f}", f"{line['us']:.1f}", f"{line['gb_per_s']:.0f}"]
            for line in floors.lines if "gb_per_s" in line]
    table(["copy", "MiB", "us", "GB/s"], rows)


def main():
    with open(sys.argv[1]) as file:
        floors = Floors([json.loads(line) for line in file])
    wrong = [line for line in floors.lines if line.get("correct") is False]
    if wrong:
        raise SystemExit(f"wrong results, no floor: {wrong}")
    for title, section in (("Step floors", print_step_floors), ("bf16 products", print_gemm_bf16),
                           ("FP8 support", print_fp8_support), ("FP8 products", print_gemm_fp8),
                           ("Attention", print_attention), ("Copies", print_copies)):
        print(f"## {title}\n")
        section(floors)


if __name__ == "__main__":
    main()
