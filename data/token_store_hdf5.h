// TokenStore: tokenised documents in one HDF5 file, `data.h5`; what `weft data prepare` writes and training reads.
//
//   first 512 bytes     an HDF5 user block that holds three lines of ours: format and version, the file's size in
//                       bytes, and the SHA-256 of all that follows the block
//   /tokens             [tokens] u16 where the vocabulary fits, else i32; each document ends with its eos token
//   /loss_mask          [tokens] u8: 1 where the token counts as a target; deflated
//   /document_begins    [documents + 1] i64: offsets into /tokens
//   /validation         [documents] u8: 1 for the documents of the validation split
//   /packing/train, /packing/validation    data/packing.h's plan for attribute sequence_length:
//                       piece_begins, piece_lengths [pieces] i64; sequence_begins [sequences + 1] i64
//   /tokenizer_json, /tokenizer_config_json, /provenance_json    text
//   /table_yaml         text: how rows of a table became text (data/table_spec.h); absent where there was no table
//
// libhdf5 is not safe on hostile files, so none is given to it before our block, the size and, for files of up to
// 256 MiB, the digest agree. Larger files rely on HDF5's own checksums: those of its metadata, and a Fletcher-32 of
// every chunk, checked when the chunk is read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "core/status.h"
#include "data/packing.h"

namespace weft {

enum class DataSplit { kTrain, kValidation };

class TokenStore {
 public:
  // Fails with one message when the file is absent, foreign, truncated or damaged. `verify_all` checks the digest of
  // large files too.
  static StatusOr<std::shared_ptr<const TokenStore>> Open(const std::string& path, bool verify_all = false);
  ~TokenStore();

  const std::string& path() const;
  const std::string& digest() const;  // SHA-256 of the content, hexadecimal: which data this is, wherever it lies
  int64_t num_tokens() const;  // both splits, eos tokens included
  int32_t vocab_size() const;
  int64_t num_documents() const;
  TokenRange Document(int64_t document) const;  // all its tokens, eos included
  DataSplit SplitOf(int64_t document) const;

  // The tokens that may stand as input: each document of `split` without its last token, in the store's order.
  std::vector<TokenRange> InputsOf(DataSplit split) const;
  // The stored plan where it is for `sequence_length`, else the same function computed now.
  StatusOr<PackingPlan> Plan(DataSplit split, int64_t sequence_length) const;
  int64_t planned_sequence_length() const;

  // tokens and loss_mask: [range.length] each. Fails when the file is damaged there. Thread-safe.
  Status Read(TokenRange range, absl::Span<int32_t> tokens, absl::Span<uint8_t> loss_mask) const;

  const std::string& tokenizer_json() const;
  const std::string& tokenizer_config_json() const;  // may be empty
  const std::string& provenance_json() const;        // inputs, counts, weft's version
  const std::string& table_yaml() const;             // empty where the data were no table

 private:
  struct State;
  explicit TokenStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Writes a store aside (path + ".tmp") and renames it at the end; a writer that is destroyed before leaves nothing.
class TokenStoreWriter {
 public:
  static StatusOr<std::unique_ptr<TokenStoreWriter>> Create(const std::string& path, int32_t vocab_size);
  ~TokenStoreWriter();

  // One document, its eos token included; tokens and loss_mask have the same size, at least 2.
  Status Add(absl::Span<const int32_t> tokens, absl::Span<const uint8_t> loss_mask);

  struct Ending {
    std::vector<uint8_t> validation;  // [documents]: 1 for the validation split
    int64_t sequence_length = 0;      // of the stored plans
    std::string tokenizer_json, tokenizer_config_json, provenance_json;
    std::string table_yaml{};  // may be empty
  };
  Status Finish(const Ending& ending);

  int64_t num_tokens() const;
  int64_t num_documents() const;

 private:
  struct State;
  explicit TokenStoreWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
