#!/usr/bin/env python3
"""Writes the golden files of this directory: what PyTorch and transformers compute for some tiny models.

For each model, `NAME/model/` is a Hugging Face directory as transformers writes it, and `NAME/golden.safetensors`
holds one packed batch, its logits, loss and gradients, and the weights after three AdamW steps. `rope.safetensors`
holds the cos and sin tables of the RoPE scalings. README.md lists every tensor.

The files are meant to be the truth rather than one more f32 implementation, so everything is computed in f64 from f32
weights and rounded to f32 when written. Where transformers asks for f32 by name (norms, softmax, RoPE), `in_float64`
makes it get f64. To show that this changes nothing but rounding, each model also runs unpatched in f32, and the script
fails unless both runs agree to F32_TOLERANCE.

Sources: transformers' Llama, Mistral, Qwen2, Qwen3 and GPT-2 models and its ROPE_INIT_FUNCTIONS; torch.optim.AdamW.
"""

import json
import pathlib
import unittest.mock

import torch
import transformers
from safetensors.torch import save_file
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

HERE = pathlib.Path(__file__).parent
# Relative L2 per tensor between the f64 run and the plain f32 run. It also catches an ill-conditioned batch: AdamW
# moves an element by about lr however small its gradient, so where a gradient nearly vanishes (a k bias under a
# rotation of long wavelength, for one) rounding decides the direction. The settings of MODELS avoid that; if a change
# brings it back, move rope_theta.
F32_TOLERANCE = 5e-6

DOCUMENT_LENGTHS = (21, 9, 18)
NUM_STEPS = 3
CLIP_NORM = 1.0
WEIGHT_DECAY = 0.1
ADAMW = dict(lr=1e-2, betas=(0.9, 0.95), eps=1e-8)
# GPT-2's key biases have no gradient at all: a softmax does not see what all its logits share, and no rotation tells the
# positions apart. What is left is rounding, which AdamW with a tiny eps would turn into steps of full length.
GPT2_EPS = 1e-4

# bos, eos and pad are given because transformers' defaults lie outside so small a vocabulary.
SPECIAL_TOKENS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)

# original_max_position_embeddings 32 puts the wavelengths 6, 20, 63 and 199 of the four rotations on all three branches
# of llama3 scaling: kept, blended, and divided by the factor.
MODELS = {
    "llama": transformers.LlamaConfig(
        vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=72, max_position_embeddings=128, rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="llama3", rope_theta=100.0, factor=4.0, low_freq_factor=1.0,
                             high_freq_factor=4.0, original_max_position_embeddings=32),
        **SPECIAL_TOKENS),
    "llama_tied": transformers.LlamaConfig(
        vocab_size=97, hidden_size=40, num_hidden_layers=2, num_attention_heads=5, num_key_value_heads=1,
        intermediate_size=56, max_position_embeddings=64, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="default", rope_theta=10000.0), **SPECIAL_TOKENS),
    "mistral": transformers.MistralConfig(
        vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
        intermediate_size=72, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=False,
        sliding_window=64, rope_parameters=dict(rope_type="default", rope_theta=100.0), **SPECIAL_TOKENS),
    "qwen2": transformers.Qwen2Config(
        vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=72, max_position_embeddings=64, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="default", rope_theta=100.0), **SPECIAL_TOKENS),
    "qwen3": transformers.Qwen3Config(
        vocab_size=96, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
        intermediate_size=40, max_position_embeddings=64, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="default", rope_theta=10000.0), **SPECIAL_TOKENS),
    "gpt2": transformers.GPT2Config(
        vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=64, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
        **SPECIAL_TOKENS),
}

# Settings as published models use them, and YaRN's optional keys. (head size, rope_parameters)
ROPE_CASES = {
    "plain_q64": (64, dict(rope_type="default", rope_theta=10000.0)),
    "plain_q128": (128, dict(rope_type="default", rope_theta=500000.0)),
    "linear": (64, dict(rope_type="linear", rope_theta=10000.0, factor=4.0)),
    "llama3_factor8": (128, dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
                                 high_freq_factor=4.0, original_max_position_embeddings=8192)),
    "llama3_factor32": (64, dict(rope_type="llama3", rope_theta=500000.0, factor=32.0, low_freq_factor=1.0,
                                 high_freq_factor=4.0, original_max_position_embeddings=8192)),
    "yarn": (128, dict(rope_type="yarn", rope_theta=1000000.0, factor=4.0, original_max_position_embeddings=32768)),
    "yarn_betas": (64, dict(rope_type="yarn", rope_theta=10000.0, factor=16.0, original_max_position_embeddings=4096,
                            beta_fast=16.0, beta_slow=2.0)),
    "yarn_attention_factor": (64, dict(rope_type="yarn", rope_theta=10000.0, factor=8.0, attention_factor=0.75,
                                       original_max_position_embeddings=2048)),
    "yarn_mscale": (64, dict(rope_type="yarn", rope_theta=10000.0, factor=40.0, mscale=1.0, mscale_all_dim=0.5,
                             original_max_position_embeddings=4096)),
    "yarn_untruncated": (64, dict(rope_type="yarn", rope_theta=150000.0, factor=32.0, truncate=False,
                                  original_max_position_embeddings=4096)),
}
ROPE_POSITIONS = (0, 1, 2, 3, 5, 17, 100, 1000, 4095, 8191, 32768, 131071)


def in_float64():
    """While active, code that asks for torch.float32 or torch.float gets torch.float64."""
    return unittest.mock.patch.multiple(torch, float32=torch.float64, float=torch.float64)


def as_metadata(provenance):
    """One JSON entry, because safetensors writes several in an order that changes from run to run."""
    return {"provenance": json.dumps(provenance)}


def randomize(model, generator):
    """Weights that leave no term without effect: norms off one, biases off zero, attention far from uniform."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if name.endswith(("norm.weight", "ln_1.weight", "ln_2.weight", "ln_f.weight")):
            p.data = 1.0 + 0.2 * noise
        elif p.dim() == 1:
            p.data = 0.3 * noise
        else:
            embeds = name.endswith(("embed_tokens.weight", "wte.weight", "wpe.weight"))
            p.data = noise * (0.5 if embeds else 1.2 * p.shape[1] ** -0.5)


def make_batch(vocab_size, generator):
    """Three documents in one sequence; the target is the next token, and eos after a document's last.

    The first document's loss starts late, as after a prompt; the second counts whole; the third at random.
    """
    length = sum(DOCUMENT_LENGTHS)
    cu_seqlens = torch.tensor((0,) + DOCUMENT_LENGTHS).cumsum(0)
    tokens = torch.randint(3, vocab_size, (length,), generator=generator)
    targets = torch.roll(tokens, -1)
    targets[cu_seqlens[1:] - 1] = SPECIAL_TOKENS["eos_token_id"]
    loss_mask = torch.ones(length)
    loss_mask[:8] = 0
    loss_mask[cu_seqlens[2]:] = torch.randint(0, 2, (DOCUMENT_LENGTHS[2],), generator=generator).to(loss_mask.dtype)
    return dict(tokens=tokens, cu_seqlens=cu_seqlens.to(torch.int32), targets=targets, loss_mask=loss_mask)


def packed_logits(model, batch):
    """[T, V]. Each document runs alone: no attention across documents, positions from 0 in each."""
    documents = batch["tokens"].split(DOCUMENT_LENGTHS)
    return torch.cat([model(input_ids=d[None], use_cache=False).logits[0] for d in documents])


def masked_loss(logits, batch):
    """Sum of the unmasked tokens' cross-entropy over their number."""
    per_token = torch.nn.functional.cross_entropy(logits, batch["targets"], reduction="none")
    return (per_token * batch["loss_mask"]).sum() / batch["loss_mask"].sum()


def train(model, batch):
    """Logits, loss and gradients at the start, then NUM_STEPS of clipped AdamW on the same batch."""
    parameters = dict(model.named_parameters())
    matrices = [p for p in parameters.values() if p.dim() > 1]
    vectors = [p for p in parameters.values() if p.dim() == 1]
    optimizer = torch.optim.AdamW([dict(params=matrices, weight_decay=WEIGHT_DECAY),
                                   dict(params=vectors, weight_decay=0.0)],
                                  **(ADAMW | dict(eps=GPT2_EPS) if model.config.model_type == "gpt2" else ADAMW))
    golden, losses, grad_norms = {}, [], []
    for step in range(NUM_STEPS):
        optimizer.zero_grad()
        logits = packed_logits(model, batch)
        loss = masked_loss(logits, batch)
        loss.backward()
        if step == 0:
            golden |= {"logits": logits.detach(), "loss": loss.detach()}
            golden |= {f"grad.{name}": p.grad.clone() for name, p in parameters.items()}
        grad_norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), CLIP_NORM))
        losses.append(loss.detach())
        optimizer.step()
    golden |= {"losses": torch.stack(losses), "grad_norms": torch.stack(grad_norms)}
    golden |= {f"after.{name}": p.detach() for name, p in parameters.items()}
    return golden


def worst_difference(got, want):
    """The largest relative L2 difference of any tensor, and that tensor's name."""
    def difference(name):
        return ((got[name].double() - want[name]).norm() / want[name].norm()).item()
    return max((difference(name), name) for name in want)


def write_model(name, config, provenance):
    generator = torch.Generator().manual_seed(sum(name.encode()))
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    randomize(model, generator)
    model.tie_weights()
    model.save_pretrained(HERE / name / "model")
    weights = model.state_dict()
    batch = make_batch(config.vocab_size, generator)

    with in_float64():
        exact_model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").double()
        exact_model.load_state_dict(weights)
        exact = train(exact_model, {k: v.double() if v.is_floating_point() else v for k, v in batch.items()})
    assert all(tensor.dtype == torch.float64 for tensor in exact.values())
    assert all(tensor.norm() > 0 for tensor in exact.values())

    difference, where = worst_difference(train(model, batch), exact)
    assert difference < F32_TOLERANCE, f"{name}: the f32 run differs by {difference:.1e} in {where}"
    golden = batch | {k: v.to(torch.float32).contiguous() for k, v in exact.items()}
    save_file(golden, HERE / name / "golden.safetensors", metadata=as_metadata(provenance))
    print(f"{name}: losses {[round(x, 6) for x in exact['losses'].tolist()]}, "
          f"grad norms {[round(x, 4) for x in exact['grad_norms'].tolist()]}; f32 differs by {difference:.1e}")


def write_rope(provenance):
    positions = torch.tensor(ROPE_POSITIONS)
    tensors = {"positions": positions}
    for name, (head_dim, rope_parameters) in ROPE_CASES.items():
        config = transformers.LlamaConfig(head_dim=head_dim, hidden_size=2 * head_dim, num_attention_heads=2,
                                          max_position_embeddings=131072, rope_parameters=dict(rope_parameters))
        with in_float64():
            rotary = LlamaRotaryEmbedding(config)
            cos, sin = rotary(torch.zeros(1, dtype=torch.float64), positions[None])
        tensors[f"{name}.inv_freq"] = rotary.inv_freq
        tensors[f"{name}.cos"] = cos[0, :, : head_dim // 2]  # the second half of each row repeats the first
        tensors[f"{name}.sin"] = sin[0, :, : head_dim // 2]
        tensors[f"{name}.attention_factor"] = torch.tensor(rotary.attention_scaling, dtype=torch.float64)
    exact = {k: v.to(torch.float32).contiguous() if v.is_floating_point() else v for k, v in tensors.items()}
    cases = {name: dict(head_dim=q, **rope) for name, (q, rope) in ROPE_CASES.items()}
    save_file(exact, HERE / "rope.safetensors", metadata=as_metadata(provenance | {"cases": cases}))
    factors = {name: round(tensors[f"{name}.attention_factor"].item(), 6) for name in ROPE_CASES}
    print(f"rope: attention factors {factors}")


def main():
    torch.set_num_threads(1)  # so that a second run writes the same bytes
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    provenance = {"torch": torch.__version__, "transformers": transformers.__version__, "computed_in": "float64"}
    for name, config in MODELS.items():
        write_model(name, config, provenance)
    write_rope(provenance)


if __name__ == "__main__":
    main()
