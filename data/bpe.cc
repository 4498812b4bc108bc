// Reading the model, and the merge loop.
#include "data/bpe.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "absl/strings/str_format.h"
#include "data/utf8.h"

namespace weft {
namespace {

constexpr int64_t kMaxId = 1 << 24;  // a table of all ids is made; the largest vocabularies known have 2^18

uint64_t PairKey(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// "a b" or ["a", "b"].
StatusOr<std::pair<std::string, std::string>> ParsePair(const JsonView& json) {
  if (json.value().is_string()) {
    WEFT_ASSIGN_OR_RETURN(const std::string line, json.String());
    const size_t space = line.find(' ');
    const bool is_one = space != std::string::npos && space == line.rfind(' ');
    if (!is_one || space == 0 || space + 1 == line.size()) {
      return json.Error("the merge '", line, "' is not two tokens with a space between");
    }
    return std::pair(line.substr(0, space), line.substr(space + 1));
  }
  WEFT_ASSIGN_OR_RETURN(const std::vector<JsonView> items, json.Items());
  if (items.size() != 2) return json.Expected("a pair of tokens");
  WEFT_ASSIGN_OR_RETURN(std::string left, items[0].String());
  WEFT_ASSIGN_OR_RETURN(std::string right, items[1].String());
  return std::pair(std::move(left), std::move(right));
}

// Options that would change the result.
Status RefuseOptions(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const JsonView dropout, json.Get("dropout"));
  if (!dropout.is_null() && dropout.value() != 0) return dropout.Error("BPE dropout is not supported");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    WEFT_ASSIGN_OR_RETURN(const std::string affix, json.StringOr(key, ""));
    if (!affix.empty()) return json.Error(key, " '", affix, "' is not supported");
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<Bpe> Bpe::Parse(const JsonView& json, const absl::flat_hash_set<std::string>& control_tokens) {
  // Old files name no type; the members tell.
  WEFT_ASSIGN_OR_RETURN(const JsonView merges, json.Get("merges"));
  WEFT_ASSIGN_OR_RETURN(const std::string type, json.StringOr("type", merges.is_null() ? "unnamed" : "BPE"));
  if (type != "BPE") return json.Error("models of type '", type, "' are not supported; supported is BPE");
  WEFT_RETURN_IF_ERROR(RefuseOptions(json));
  Bpe bpe;
  WEFT_ASSIGN_OR_RETURN(bpe.fuse_unk_, json.BoolOr("fuse_unk", false));
  WEFT_ASSIGN_OR_RETURN(bpe.ignore_merges_, json.BoolOr("ignore_merges", false));
  WEFT_ASSIGN_OR_RETURN(const JsonView vocab, json.Get("vocab"));
  WEFT_RETURN_IF_ERROR(bpe.ParseVocab(vocab));
  WEFT_RETURN_IF_ERROR(bpe.ParseMerges(merges, control_tokens));
  WEFT_ASSIGN_OR_RETURN(const std::string unk, json.StringOr("unk_token", ""));
  if (!unk.empty()) {
    const auto found = bpe.vocab_.find(unk);
    if (found == bpe.vocab_.end()) return json.Error("unk_token '", unk, "' is not in the vocabulary");
    bpe.unk_id_ = found->second;
  }
  WEFT_ASSIGN_OR_RETURN(const bool byte_fallback, json.BoolOr("byte_fallback", false));
  for (int byte = 0; byte_fallback && byte < 256; ++byte) {
    const auto found = bpe.vocab_.find(absl::StrFormat("<0x%02X>", byte));
    bpe.byte_ids_.push_back(found == bpe.vocab_.end() ? -1 : found->second);
  }
  bpe.text_vocab_ = bpe.vocab_;
  for (const std::string& token : control_tokens) bpe.text_vocab_.erase(token);
  return bpe;
}

Status Bpe::ParseVocab(const JsonView& json) {
  if (!json.value().is_object()) return json.Expected("an object of tokens and ids");
  absl::flat_hash_set<int32_t> seen;
  for (const auto& [token, value] : json.value().items()) {
    const JsonView entry(value, StrCat(json.path(), "['", token, "']"));
    WEFT_ASSIGN_OR_RETURN(const int64_t id, entry.Integer());
    if (id < 0 || id >= kMaxId) return entry.Error("the id ", id, " is out of range");
    if (!seen.insert(static_cast<int32_t>(id)).second) return entry.Error("the id ", id, " is given twice");
    vocab_[token] = static_cast<int32_t>(id);
  }
  return absl::OkStatus();
}

Status Bpe::ParseMerges(const JsonView& json, const absl::flat_hash_set<std::string>& control_tokens) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<JsonView> items, json.Items());
  int32_t rank = 0;
  for (const JsonView& item : items) {
    WEFT_ASSIGN_OR_RETURN(const auto pair, ParsePair(item));
    const std::string result = pair.first + pair.second;
    for (const std::string& token : {pair.first, pair.second, result}) {
      if (!vocab_.contains(token)) return item.Error("the merge's token '", token, "' is not in the vocabulary");
    }
    // A pair that is listed twice counts where it came last, as in Hugging Face's map.
    if (!control_tokens.contains(result)) {
      merges_[PairKey(vocab_[pair.first], vocab_[pair.second])] = {rank, vocab_[result]};
    }
    ++rank;
  }
  return absl::OkStatus();
}

void Bpe::Encode(std::string_view piece, std::vector<int32_t>* ids) const {
  if (ignore_merges_) {
    const auto found = text_vocab_.find(ToAbsl(piece));
    if (found != text_vocab_.end()) return ids->push_back(found->second);
  }
  std::vector<int32_t> symbols;
  AppendCodePoints(piece, &symbols);
  ApplyMerges(&symbols);
  ids->insert(ids->end(), symbols.begin(), symbols.end());
}

void Bpe::AppendCodePoints(std::string_view piece, std::vector<int32_t>* ids) const {
  bool after_unk = false;
  for (size_t i = 0; i < piece.size();) {
    const std::string_view letter = piece.substr(i, CodePointAt(piece, i).length);
    i += letter.size();
    const auto found = text_vocab_.find(ToAbsl(letter));
    const bool known = found != text_vocab_.end();
    const bool has_bytes = !known && !byte_ids_.empty() && std::all_of(letter.begin(), letter.end(), [&](char byte) {
      return byte_ids_[static_cast<unsigned char>(byte)] >= 0;
    });
    if (known) {
      ids->push_back(found->second);
    } else if (has_bytes) {
      for (const char byte : letter) ids->push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    } else if (unk_id_.has_value() && !(fuse_unk_ && after_unk)) {
      ids->push_back(*unk_id_);
    }
    after_unk = !known && !has_bytes;
  }
}

const Bpe::Merge* Bpe::FindMerge(int32_t left, int32_t right) const {
  const auto found = merges_.find(PairKey(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::ApplyMerges(std::vector<int32_t>* symbols) const {
  if (merges_.empty()) return;
  struct Link {  // a symbol among its living neighbours, by index; -1: none
    int32_t id;
    int64_t previous, next;
  };
  struct Candidate {
    int32_t rank;
    int64_t left;       // index of the left symbol
    uint64_t pair;      // what stood there when this was queued: it may have been merged since
    bool operator>(const Candidate& other) const { return std::pair(rank, left) > std::pair(other.rank, other.left); }
  };
  const int64_t count = static_cast<int64_t>(symbols->size());
  std::vector<Link> links(symbols->size());
  for (int64_t i = 0; i < count; ++i) links[i] = {(*symbols)[i], i - 1, i + 1 < count ? i + 1 : -1};
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](int64_t left) {
    if (left < 0 || links[left].next < 0) return;
    const int32_t right_id = links[links[left].next].id;
    if (const Merge* merge = FindMerge(links[left].id, right_id)) {
      queue.push({merge->rank, left, PairKey(links[left].id, right_id)});
    }
  };
  for (int64_t i = 0; i + 1 < count; ++i) consider(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Link& left = links[best.left];
    if (left.id < 0 || left.next < 0 || PairKey(left.id, links[left.next].id) != best.pair) continue;
    Link& right = links[left.next];
    left.id = FindMerge(left.id, right.id)->result;
    right.id = -1;  // gone
    left.next = right.next;
    if (left.next >= 0) links[left.next].previous = best.left;
    consider(left.previous);
    consider(best.left);
  }
  symbols->clear();
  for (int64_t i = count > 0 ? 0 : -1; i >= 0; i = links[i].next) symbols->push_back(links[i].id);
}

}  // namespace weft
