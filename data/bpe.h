// Bpe: byte-pair encoding of one piece of text, as the model of a tokenizer.json describes it (`"type": "BPE"`).
//
// A piece begins as its code points; then the pair whose merge has the lowest rank, the leftmost among equals, becomes
// one token, until no pair has a merge: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units",
// ACL 2016, in O(n log n) by a queue, since models without a pre-tokenizer take a whole document as one piece.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/status.h"
#include "data/json_view.h"

namespace weft {

class Bpe {
 public:
  // `json` is the file's "model". `control_tokens` are never made out of text. Other types of model, and options of BPE
  // that change its result and are not implemented (dropout, affixes), are refused by name.
  static StatusOr<Bpe> Parse(const JsonView& json, const absl::flat_hash_set<std::string>& control_tokens);

  // Appends the tokens of `piece` (UTF-8). A code point that is not in the vocabulary becomes the tokens of its bytes,
  // else the unknown token, else nothing. Thread-safe.
  void Encode(std::string_view piece, std::vector<int32_t>* ids) const;

  const absl::flat_hash_map<std::string, int32_t>& vocab() const { return vocab_; }

 private:
  struct Merge {
    int32_t rank;
    int32_t result;
  };

  Status ParseVocab(const JsonView& json);
  Status ParseMerges(const JsonView& json, const absl::flat_hash_set<std::string>& control_tokens);
  void AppendCodePoints(std::string_view piece, std::vector<int32_t>* ids) const;
  const Merge* FindMerge(int32_t left, int32_t right) const;
  void ApplyMerges(std::vector<int32_t>* symbols) const;

  absl::flat_hash_map<std::string, int32_t> vocab_;
  absl::flat_hash_map<std::string, int32_t> text_vocab_;  // without control tokens
  absl::flat_hash_map<uint64_t, Merge> merges_;           // by left << 32 | right
  std::vector<int32_t> byte_ids_;                         // [256], -1: none; empty without byte fallback
  std::optional<int32_t> unk_id_;
  bool fuse_unk_ = false;
  bool ignore_merges_ = false;
};

}  // namespace weft
