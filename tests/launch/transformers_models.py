#!/usr/bin/env python3
"""Random-weight models as transformers writes them, and a judgement of what weft made of them.

usage: transformers_models.py write FOLDER    makes FOLDER/NAME/model and FOLDER/NAME/logits.safetensors for every case
       transformers_models.py check FOLDER    compares FOLDER/NAME/exported with FOLDER/NAME/model; says what differs
       transformers_models.py chat MODEL      prints a conversation as the model's tokenizer renders it
       transformers_models.py gguf MODEL      says what MODEL.gguf is, and what differs between it and the folder MODEL

A case is an architecture in f32 in one file (NAME_f32) or in bf16 in several (NAME_bf16). logits.safetensors holds
`tokens` [T] i64 and `logits` [T, V] f32, computed in f32 from the weights as saved. Driven by transformers_test.cc.
"""
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

# The byte-level tokenizer of weft: its vocabulary, bos and eos.
VOCABULARY = dict(vocab_size=272, bos_token_id=256, eos_token_id=257, pad_token_id=258)
SHAPE = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=72,
             max_position_embeddings=128, **VOCABULARY)
LLAMA3 = dict(rope_type="llama3", rope_theta=100.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
ARCHITECTURES = {
    "llama": transformers.LlamaConfig(**SHAPE),
    "llama_tied": transformers.LlamaConfig(tie_word_embeddings=True, **SHAPE),
    "llama3_scaled": transformers.LlamaConfig(rope_parameters=LLAMA3, **SHAPE),
    "mistral": transformers.MistralConfig(sliding_window=None, head_dim=12, **SHAPE),
    "mistral_wide_window": transformers.MistralConfig(sliding_window=128, **SHAPE),
    "qwen2": transformers.Qwen2Config(tie_word_embeddings=True, **SHAPE),
    "qwen3": transformers.Qwen3Config(head_dim=12, **SHAPE),
    "gpt2": transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128, **VOCABULARY),
}
NUM_TOKENS = 48


def randomize(model, generator):
    """Norms off one, biases off zero, matrices large enough that attention is far from uniform."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        p.data = noise * 2 * p.shape[-1] ** -0.5 if p.dim() > 1 else noise * 0.3 + (1.0 if "norm" in name else 0.0)


def logits_of(folder, tokens):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return model(input_ids=tokens[None], use_cache=False).logits[0]


def write(folder):
    for seed, (name, config) in enumerate(ARCHITECTURES.items()):
        generator = torch.Generator().manual_seed(seed)
        for suffix, dtype, max_shard_size in (("f32", torch.float32, "1GB"), ("bf16", torch.bfloat16, "20KB")):
            case = folder / f"{name}_{suffix}"
            model = transformers.AutoModelForCausalLM.from_config(config)
            randomize(model, generator)
            model.tie_weights()
            model.to(dtype).save_pretrained(case / "model", max_shard_size=max_shard_size)
            tokens = torch.randint(0, VOCABULARY["vocab_size"], (NUM_TOKENS,), generator=generator)
            save_file(dict(tokens=tokens, logits=logits_of(case / "model", tokens)), case / "logits.safetensors")


def tensors_of(folder):
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    return tensors


def differences(case):
    """A line for each way in which the export is not the model."""
    ours, theirs = tensors_of(case / "exported"), tensors_of(case / "model")
    yield from (f"tensor {name} is in one folder alone" for name in ours.keys() ^ theirs.keys())
    for name in ours.keys() & theirs.keys():
        same = ours[name].dtype == theirs[name].dtype and ours[name].shape == theirs[name].shape
        if not same or ours[name].view(torch.uint8).ne(theirs[name].view(torch.uint8)).any():
            yield f"tensor {name} is not the same bytes"
    model, loading = transformers.AutoModelForCausalLM.from_pretrained(case / "exported", output_loading_info=True)
    yield from (f"loading: {kind}: {keys}" for kind, keys in loading.items() if keys)
    expected = load_file(case / "logits.safetensors")
    if not torch.equal(logits_of(case / "exported", expected["tokens"]), expected["logits"]):
        yield "transformers computes other logits"
    if model.config.architectures != [type(model).__name__]:
        yield f"architectures: {model.config.architectures}"
    before = transformers.AutoConfig.from_pretrained(case / "model")
    for key in ("dtype", "sliding_window", "rope_parameters", "tie_word_embeddings", "eos_token_id", "bos_token_id"):
        if getattr(before, key, None) != getattr(model.config, key, None) and not is_wide_window(key, before):
            yield f"config.json: {key} is {getattr(model.config, key, None)}, was {getattr(before, key, None)}"


def is_wide_window(key, config):
    """A window as long as the context changes nothing, and an export says so by having none."""
    return key == "sliding_window" and (config.sliding_window or 0) >= config.max_position_embeddings


def check(folder):
    lines = [f"{case.name}: {line}" for case in sorted(folder.iterdir()) for line in differences(case)]
    print("\n".join(lines))
    sys.exit(1 if lines else 0)


def chat(model):
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    talk = [{"role": "user", "content": "Who are you?"}]
    print(tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True), end="")


def gguf(model):
    """Of MODEL.gguf, which llama.cpp's converter has made in f32: its architecture, numbers of tokens and tensors, end of text."""
    import gguf  # of the llama.cpp that made it

    reader = gguf.GGUFReader(f"{model}.gguf")
    value = lambda key: reader.get_field(key).contents()
    print(value("general.architecture"), len(value("tokenizer.ggml.tokens")), value("tokenizer.ggml.eos_token_id"))
    config = transformers.AutoConfig.from_pretrained(model)
    if value("tokenizer.ggml.eos_token_id") != config.eos_token_id:
        sys.exit(f"eos_token_id: config.json has {config.eos_token_id}")
    ours = tensors_of(model)
    embedding = ours["transformer.wte.weight" if "transformer.wte.weight" in ours else "model.embed_tokens.weight"]
    theirs = {tensor.name: torch.from_numpy(tensor.data.copy()) for tensor in reader.tensors}
    if not torch.equal(theirs["token_embd.weight"].view(embedding.shape), embedding):
        sys.exit("token_embd.weight holds other values")
    # Fused and transposed tensors become others, but no value may be lost or come twice.
    missing = sum(t.numel() for t in ours.values()) - sum(t.numel() for name, t in theirs.items() if name != "rope_freqs.weight")
    if missing != 0:
        sys.exit(f"{missing} values are missing")


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    {"write": write, "check": check, "chat": chat, "gguf": gguf}[sys.argv[1]](pathlib.Path(sys.argv[2]))
