#!/usr/bin/env python3
"""How fast Hugging Face's `tokenizers` encodes: the measurement of bench/tokenizer_speed.cc.

usage: tokenizer_speed.py TOKENIZER_JSON TEXT_FILE
"""
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers  # noqa: E402

DOCUMENT_BYTES = 10_000


def cut_at_lines(text):
    documents, begin = [], 0
    while begin < len(text):
        end = text.find(b"\n", min(begin + DOCUMENT_BYTES, len(text) - 1)) + 1 or len(text)
        documents.append(text[begin:end].decode())
        begin = end
    return documents


def main():
    start = time.process_time()
    tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1])
    load = time.process_time() - start
    with open(sys.argv[2], "rb") as file:
        text = file.read()
    documents = cut_at_lines(text)
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for document in documents:
            tokenizer.encode(document)
        best = min(best, time.process_time() - start)
    print(f"load {load:.3f} s; one thread {len(text) / 1e6 / best:.2f} MB/s of processor time")


main()
