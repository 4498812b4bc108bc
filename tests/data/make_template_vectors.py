"""Writes template_vectors.json: random conversations and what transformers renders of them, as hashes.

Usage: WEFT_FIXTURES=... python3 tests/data/make_template_vectors.py > tests/data/template_vectors.json

Templates are those of $WEFT_FIXTURES/templates; they are not copied, the vectors name them. Each text is kept as the
first 16 digits of its SHA-256, a refusal as "error". The clock stands at 2026-01-02 03:04:05, local time.
"""
import datetime
import glob
import hashlib
import json
import os
import random

from transformers.utils import chat_template_utils

NUM_CONVERSATIONS = 48
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class StoppedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 2, 3, 4, 5)


def random_text(rng):
    pieces = ["Hello", " ", "  ", "\n", "\n\n", "<think>", "</think>", "<tool_response>", "</tool_response>", "é", "中文", "😀",
              "\"", "'", "\\", "<|im_end|>", "{{ x }}", "{% y %}", "\t", "/no_think", "/think", "a < b & c > d", "1", "ß", "\u00a0"]
    return "".join(rng.choice(pieces) for _ in range(rng.randint(0, 8)))


def random_json(rng, depth=0):
    kind = rng.randint(0, 7 if depth < 2 else 5)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        return rng.choice([0, 1, -5, 123456789012345])
    if kind == 3:
        return rng.choice([0.5, 1.0, -2.25, 1e-7, 1e22, 3.141592653589793])
    if kind in (4, 5):
        return random_text(rng)
    if kind == 6:
        return [random_json(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(["city", "n", "é", "items", "a b"]): random_json(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def random_object(rng):
    return {rng.choice(["city", "n", "é", "items", "a b"]): random_json(rng, 1) for _ in range(rng.randint(0, 3))}


def random_call(rng):
    function = {"name": rng.choice(["get_weather", "f"]), "arguments": random_object(rng)}
    return {"type": "function", "id": rng.choice(["abcdefghi", "call_1"]), "function": function}


def assistant_message(rng):
    message = {"role": "assistant", "content": random_text(rng)}
    if rng.random() < 0.2:
        message["content"] = rng.choice([None, ""])
    if rng.random() < 0.3:
        message["tool_calls"] = [random_call(rng) for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.2:
        message[rng.choice(["reasoning_content", "thinking", "reasoning"])] = random_text(rng)
    return message


def random_conversation(rng):
    messages = []
    if rng.random() < 0.5:
        messages.append({"role": "system", "content": random_text(rng)})
    for _ in range(rng.randint(1, 3)):
        messages.append({"role": "user", "content": random_text(rng)})
        if rng.random() < 0.8:
            messages.append(assistant_message(rng))
            for call in messages[-1].get("tool_calls", []):
                messages.append({"role": "tool", "content": random_text(rng), "tool_call_id": call["id"]})
    if rng.random() < 0.1:
        rng.shuffle(messages)
    conversation = {"messages": messages, "add_generation_prompt": rng.random() < 0.5}
    if rng.random() < 0.3:
        conversation["tools"] = [
            {"type": "function", "function": {"name": "f", "description": random_text(rng), "parameters": random_object(rng)}}
            for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.3:
        conversation["variables"] = {rng.choice(["enable_thinking", "thinking"]): rng.random() < 0.5}
    return conversation


def render(source, conversation):
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            [conversation["messages"]], tools=conversation.get("tools"), chat_template=source,
            add_generation_prompt=conversation["add_generation_prompt"], **TOKENS, **conversation.get("variables", {}))
        return hashlib.sha256(texts[0].encode()).hexdigest()[:16]
    except Exception:
        return "error"


def shared_templates(folder):
    for path in sorted(glob.glob(os.path.join(folder, "jinja", "*.jinja"))):
        with open(path, encoding="utf-8") as file:
            yield os.path.basename(path), file.read()
    with open(os.path.join(folder, "chat_template_cases_shared.json"), encoding="utf-8") as file:
        for case in json.load(file):
            yield case["name"], case["template"]


def main():
    chat_template_utils.datetime = StoppedClock
    rng = random.Random(20260102)
    conversations = [random_conversation(rng) for _ in range(NUM_CONVERSATIONS)]
    templates = {name: [render(source, conversation) for conversation in conversations]
                 for name, source in shared_templates(os.path.join(os.environ["WEFT_FIXTURES"], "templates"))}
    # One conversation, or one template's hashes, a line.
    rows = ",\n".join(json.dumps(conversation, ensure_ascii=False) for conversation in conversations)
    hashes = ",\n".join(f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(row)}" for name, row in templates.items())
    print(f'{{"conversations": [\n{rows}\n],\n"templates": {{\n{hashes}\n}}}}')


if __name__ == "__main__":
    main()
