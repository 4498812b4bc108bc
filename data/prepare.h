// `weft data prepare`: text files, folders and JSON Lines to one token store.
//
// A text file is a document, or several where it is large; .jsonl, .json and .csv files hold records: text, a prompt and its
// completion, or a conversation (data/documents.h, data/conversation.h). Empty ones and those without a token in the loss are dropped and
// counted. Folders are searched in sorted order, without hidden entries, build folders and files that are not text, and
// it is said how many were left out. Documents are tokenised in parallel in batches of a few MiB: memory is bounded by those, the largest document,
// and some 80 bytes a document for the packing plan. The same inputs give the same file.
//
// What is tokenised is kept in parts in the folder TO.parts (data/prepared_parts.h) until the store is whole: where
// preparing was killed, the same call reads the inputs again but tokenises only what is missing, and the file is the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/fields.h"
#include "core/status.h"
#include "data/documents.h"
#include "data/prepared_parts.h"

namespace weft {

struct PrepareOptions {
  std::vector<std::string> inputs;
  std::string to;
  std::string tokenizer;  // empty: the byte-level tokenizer
  int64_t sequence_length = 1024;
  double validation_fraction = 0.02;
  std::string format;                // of records; empty: recognised by their keys
  std::vector<std::string> columns;  // "prompt=question"
  std::string chat_template;         // a .jinja file; empty: the tokenizer's own, for conversations
  bool keep_system = false;          // ChatInput::keep_system
  std::string too_long = "split";
  std::string preferences;           // "chosen", or empty
  std::string table;                 // the specification that renders records (data/table_spec.h); empty: they are no rows
  int num_threads = 0;  // 0: the cores of this process
  int64_t part_bytes = int64_t{64} << 20;  // of text: what is lost at most when preparing is killed
  int64_t max_text_bytes = kMaxTextBytes;  // of a document of a text file; longer files become several
  int64_t max_sample_tokens = kMaxSampleTokens;  // more are refused

  void VisitFields(FieldVisitor& v) {
    v.Field("inputs", inputs, "text files, folders of text files, and .jsonl, .json, .csv and .tsv files of records");
    v.Field("to", to, "the token store to write, e.g. data.h5");
    v.Field("tokenizer", tokenizer,
            "a tokenizer.json or a model's folder; left out, the byte-level tokenizer (272 tokens, no download)");
    v.Field("format", format,
            "of records: messages, sharegpt, alpaca, prompt_completion, preference or text; left out, it is "
            "recognised by their keys");
    v.Field("columns", columns, "names of columns in the records, as KEY=COLUMN: prompt=question");
    v.Field("template", chat_template,
            "the chat template that renders conversations, a .jinja file; left out, the tokenizer's own. Named, it "
            "renders prompts and completions too, which are otherwise joined as they are");
    v.Field("keep_system", keep_system,
            "put a system message that the template leaves out in front of the first user's message");
    v.Field("too_long", too_long,
            "samples longer than a sequence: split into several, cut to its length, or drop");
    v.Field("table", table,
            "how rows of a table become text: a YAML file, or an exported model or a token store, to render as they did");
    v.Field("preferences", preferences, "what to learn from preference pairs: chosen, the answers that were chosen");
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
