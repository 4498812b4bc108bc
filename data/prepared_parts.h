// The parts of an unfinished `weft data prepare`: runs of documents that are encoded already, in a folder beside the token
// store, so that the same command goes on where a killed one stood.
//
//   000000.part   documents, one after another: i32 tokens, u64 hash, i32 [tokens], u8 [tokens] loss mask, all little-endian
//   000000.yaml   the part's record, written last: a part without one is not finished
//
// A record says by digests which documents, encoded how, the part holds. So nothing depends on the names or times of input
// files: parts count as long as the same documents come first, and are encoded in the same way.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "core/fields.h"
#include "core/sha256.h"
#include "core/status.h"
#include "data/sample_encoder.h"

namespace weft {

// What became of documents.
struct PrepareCounts {
  int64_t documents = 0;   // kept
  int64_t tokens = 0;      // of those
  int64_t empty = 0, too_long = 0, without_loss = 0, dropped_rows = 0, undecided_pairs = 0;  // left out
  int64_t turns = 0, open_turns = 0;  // of an assistant; without a token that ends them
  int64_t unsaid = 0;      // messages of which the chat template writes nothing

  void VisitFields(FieldVisitor& v);
  void Add(const PrepareCounts& other);
};

struct PartRecord {
  std::string encoding;        // digest of all that decides how a document is encoded
  int64_t time = 0;            // that chat templates were told, s
  int64_t documents_read = 0;  // kept or not
  std::string documents;       // digest of them
  std::string sha256;          // of the .part file
  PrepareCounts counts;

  void VisitFields(FieldVisitor& v);
};

inline constexpr int64_t kMaxSampleTokens = std::numeric_limits<int32_t>::max();  // that a part can hold

class PreparedParts {
 public:
  // Makes the folder where it is absent. Fails where another process uses it. When this goes and no part is finished, the
  // folder goes too.
  static StatusOr<std::unique_ptr<PreparedParts>> Open(const std::string& folder);
  ~PreparedParts();
  PreparedParts(const PreparedParts&) = delete;

  // The record of part 0, 1, ...; nothing where it is not finished or cannot be read.
  std::optional<PartRecord> Find(int64_t part) const;
  // Whether the part's file is what was written, to the last byte.
  bool IsWhole(int64_t part, const PartRecord& record) const;

  // Begins a part, in place of what is there and of all after it; documents follow, then the record, whose sha256 is
  // filled in here.
  Status Begin(int64_t part);
  // Of at most kMaxSampleTokens.
  Status Add(const EncodedSample& sample);
  Status Finish(PartRecord* record);

  // Hands over the documents of a finished part, in order. Fails where its file is not what was written.
  Status Read(int64_t part, const PartRecord& record, absl::FunctionRef<Status(const EncodedSample&)> take) const;

  Status Remove();  // all of it, when it is no longer needed
  const std::string& folder() const { return folder_; }

 private:
  explicit PreparedParts(std::string folder) : folder_(std::move(folder)) {}
  std::string PathOf(int64_t part, std::string_view ending) const;
  Status Flush();

  const std::string folder_;
  int lock_ = -1;
  int64_t part_ = -1;      // being written
  int descriptor_ = -1;    // its file
  std::string waiting_;    // bytes not written yet
  Sha256 digest_;  // of its file
};

}  // namespace weft
