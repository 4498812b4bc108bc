// `weft data prepare`: text files, folders and JSON Lines to one token store.
//
// A file is a document, a JSONL line is a document (its field `text`); empty ones are dropped. Folders are searched in
// sorted order, without hidden entries, build folders and files that are not text, and it is said how many were left
// out. Documents are tokenised in parallel in batches of a few MiB: memory is bounded by those and the largest
// document. The same inputs give the same file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/fields.h"
#include "core/status.h"

namespace weft {

struct PrepareOptions {
  std::vector<std::string> inputs;
  std::string to;
  std::string tokenizer;  // empty: the byte-level tokenizer
  int64_t sequence_length = 1024;
  double validation_fraction = 0.02;
  int num_threads = 0;  // 0: the cores of this process

  void VisitFields(FieldVisitor& v) {
    v.Field("inputs", inputs, "text files, folders of text files, and .jsonl files whose lines have a field 'text'");
    v.Field("to", to, "the token store to write, e.g. data.h5");
    v.Field("tokenizer", tokenizer,
            "a tokenizer.json or a model's folder; left out, the byte-level tokenizer (272 tokens, no download)");
    v.Field("sequence_length", sequence_length,
            "tokens a sequence of the stored packing plan; training with another length packs anew");
    v.Field("validation_fraction", validation_fraction,
            "share of the documents, by hash of their content, kept for validation; 0 keeps none, else at least one "
            "document where there are two");
  }
};

// Writes options.to, aside and then renamed; what was there is replaced only by a complete store. Logs what was read,
// skipped and written.
Status PrepareData(const PrepareOptions& options);

}  // namespace weft
