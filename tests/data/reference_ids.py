#!/usr/bin/env python3
"""Encodes and decodes texts with Hugging Face's `tokenizers`, for tests/data/tokenizer_reference_test.cc to compare.

usage: reference_ids.py CASES.json ANSWERS.json
CASES is a list of {"tokenizer": path of a tokenizer.json, "texts": [...]}; ANSWERS gets, in the same order,
{"ids": [[...]], "decoded": [...], "decoded_without_special": [...]}.
"""
import json
import sys

import tokenizers


def answer(case):
    tokenizer = tokenizers.Tokenizer.from_file(case["tokenizer"])
    ids = [encoding.ids for encoding in tokenizer.encode_batch(case["texts"])]
    return {
        "ids": ids,
        "decoded": [tokenizer.decode(row, skip_special_tokens=False) for row in ids],
        "decoded_without_special": [tokenizer.decode(row) for row in ids],
    }


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump([answer(case) for case in cases], file)


main()
