// Bpe: byte-pair encoding of one piece of text, as the model of a tokenizer.json describes it (`"type": "BPE"`).
//
// A piece begins as its code points; then the pair whose merge has the lowest rank, the leftmost among equals, becomes
// one token, until no pair has a merge: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units",
// ACL 2016. What makes it fast changes nothing of the result: a piece is cut where no merge can reach across, so that
// models without a pre-tokenizer work on words and not on a whole document; a cut that is a token, and whose merges are
// known to end in that token, is looked up; the rest is merged in O(n log n) by a queue.
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

  // Working memory of Encode, to be kept from piece to piece; one a thread.
  class Scratch;

  // Appends the tokens of `piece` (UTF-8). A code point that is not in the vocabulary becomes the tokens of its bytes,
  // else the unknown token, else nothing. Thread-safe.
  void Encode(std::string_view piece, Scratch* scratch, std::vector<int32_t>* ids) const;

  const absl::flat_hash_map<std::string, int32_t>& vocab() const { return vocab_; }

 private:
  struct Merge {
    int32_t rank;
    int32_t result;
  };
  struct Whole {  // a token that may come out of text
    int32_t id;
    bool own_encoding;  // merging its code points gives this token
  };

  Status ParseVocab(const JsonView& json);
  Status ParseMerges(const JsonView& json, const absl::flat_hash_set<std::string>& control_tokens);
  Status ParseFallbacks(const JsonView& json);
  void FindLetters(const absl::flat_hash_set<std::string>& control_tokens);
  void FindJoints();
  void FindWholes(const absl::flat_hash_set<std::string>& control_tokens);

  const Whole* FindWhole(std::string_view text) const;
  bool AppendLetter(std::string_view letter, char32_t code_point, bool after_unk, std::vector<int32_t>* symbols) const;
  void EncodeCut(std::string_view text, size_t count, Scratch* scratch, std::vector<int32_t>* ids) const;
  void ApplyMerges(int64_t count, Scratch* scratch, std::vector<int32_t>* ids) const;

  absl::flat_hash_map<std::string, int32_t> vocab_;
  absl::flat_hash_map<std::string, Whole> wholes_;
  size_t longest_whole_ = 0;                         // bytes
  std::vector<int32_t> letters_;                     // ids of single code points, by code point; -1: none
  absl::flat_hash_map<uint64_t, Merge> merges_;      // by left << 32 | right
  absl::flat_hash_set<uint64_t> joints_;             // neighbours among a text's first symbols that a merge can join
  std::vector<int32_t> byte_ids_;                    // [256], -1: none; empty without byte fallback
  std::optional<int32_t> unk_id_;
  bool fuse_unk_ = false;
  bool ignore_merges_ = false;
};

class Bpe::Scratch {
 private:
  friend class Bpe;
  struct Link {  // a symbol among its living neighbours, by index; -1: none
    int32_t id;
    int64_t previous, next;
  };
  struct Candidate {
    int32_t rank;
    int32_t result;
    int64_t left;   // index of the left symbol
    uint64_t pair;  // what stood there when this was queued: it may have been merged since
    // The queue's first is the lowest rank, then the leftmost.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  std::vector<int32_t> symbols;
  std::vector<Link> links;
  std::vector<Candidate> queue;
};

}  // namespace weft
