// Reading the model, and the merge loop.
#include "data/bpe.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "data/token_id.h"
#include "data/utf8.h"

namespace weft {
namespace {

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

// --- Reading ---------------------------------------------------------------------------------------------------------

StatusOr<Bpe> Bpe::Parse(const JsonView& json, const absl::flat_hash_set<std::string>& control_tokens) {
  // Old files name no type; the members tell.
  WEFT_ASSIGN_OR_RETURN(const JsonView merges, json.Get("merges"));
  WEFT_ASSIGN_OR_RETURN(const std::string type, json.StringOr("type", merges.is_null() ? "unnamed" : "BPE"));
  if (type != "BPE") return json.Error("models of type '", type, "' are not supported; supported is BPE");
  WEFT_RETURN_IF_ERROR(RefuseOptions(json));
  Bpe bpe;
  WEFT_ASSIGN_OR_RETURN(const JsonView vocab, json.Get("vocab"));
  WEFT_RETURN_IF_ERROR(bpe.ParseVocab(vocab));
  WEFT_RETURN_IF_ERROR(bpe.ParseFallbacks(json));
  WEFT_RETURN_IF_ERROR(bpe.ParseMerges(merges, control_tokens));
  bpe.FindLetters(control_tokens);
  bpe.FindJoints();
  bpe.FindWholes(control_tokens);
  WEFT_ASSIGN_OR_RETURN(bpe.ignore_merges_, json.BoolOr("ignore_merges", false));
  return bpe;
}

Status Bpe::ParseVocab(const JsonView& json) {
  if (!json.value().is_object()) return json.Expected("an object of tokens and ids");
  absl::flat_hash_set<int32_t> seen;
  vocab_.reserve(json.value().size());
  for (const auto& [token, value] : json.value().items()) {
    const JsonView entry(value, StrCat(json.path(), "['", token, "']"));
    WEFT_ASSIGN_OR_RETURN(const int32_t id, ParseTokenId(entry));
    if (!seen.insert(id).second) return entry.Error("the id ", id, " is given twice");
    vocab_[token] = id;
  }
  return absl::OkStatus();
}

Status Bpe::ParseFallbacks(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(fuse_unk_, json.BoolOr("fuse_unk", false));
  WEFT_ASSIGN_OR_RETURN(const std::string unk, json.StringOr("unk_token", ""));
  if (!unk.empty()) {
    const auto found = vocab_.find(unk);
    if (found == vocab_.end()) return json.Error("unk_token '", unk, "' is not in the vocabulary");
    unk_id_ = found->second;
  }
  WEFT_ASSIGN_OR_RETURN(const bool byte_fallback, json.BoolOr("byte_fallback", false));
  for (int byte = 0; byte_fallback && byte < 256; ++byte) {
    const auto found = vocab_.find(absl::StrFormat("<0x%02X>", byte));
    byte_ids_.push_back(found == vocab_.end() ? -1 : found->second);
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

void Bpe::FindLetters(const absl::flat_hash_set<std::string>& control_tokens) {
  for (const auto& [token, id] : vocab_) {
    if (token.empty() || control_tokens.contains(token)) continue;
    const CodePoint letter = CodePointAt(token, 0);
    if (letter.length != token.size()) continue;
    if (letters_.size() <= letter.value) letters_.resize(letter.value + 1, -1);
    letters_[letter.value] = id;
  }
}

// A merge joins the last symbol of its left token to the first of its right one. A token's ends are letters, or, where
// it stands for a byte or the unknown, itself.
void Bpe::FindJoints() {
  std::vector<const std::string*> tokens;  // by id
  for (const auto& [token, id] : vocab_) {
    if (tokens.size() <= static_cast<size_t>(id)) tokens.resize(id + 1);
    tokens[id] = &token;
  }
  absl::flat_hash_set<int32_t> fallbacks(byte_ids_.begin(), byte_ids_.end());
  if (unk_id_.has_value()) fallbacks.insert(*unk_id_);
  const auto ends_of = [&](int32_t id, bool last) {
    const std::string& token = *tokens[id];
    size_t begin = last ? token.size() - 1 : 0;
    while (begin > 0 && (static_cast<unsigned char>(token[begin]) & 0xC0) == 0x80) --begin;
    const char32_t letter = CodePointAt(token, begin).value;
    return std::pair(letter < letters_.size() ? letters_[letter] : -1, fallbacks.contains(id) ? id : -1);
  };
  for (const auto& [pair, merge] : merges_) {
    const auto left = ends_of(static_cast<int32_t>(pair >> 32), /*last=*/true);
    const auto right = ends_of(static_cast<int32_t>(pair & 0xFFFFFFFF), /*last=*/false);
    for (const int32_t l : {left.first, left.second}) {
      for (const int32_t r : {right.first, right.second}) {
        if (l >= 0 && r >= 0) joints_.insert(PairKey(l, r));
      }
    }
  }
}

void Bpe::FindWholes(const absl::flat_hash_set<std::string>& control_tokens) {
  absl::flat_hash_map<std::string, Whole> wholes;  // aside: Encode below must not find them yet
  wholes.reserve(vocab_.size());
  size_t longest = 0;
  Scratch scratch;
  std::vector<int32_t> ids;
  for (const auto& [token, id] : vocab_) {
    if (control_tokens.contains(token)) continue;
    ids.clear();
    Encode(token, &scratch, &ids);
    wholes[token] = {id, ids.size() == 1 && ids[0] == id};
    longest = std::max(longest, token.size());
  }
  wholes_ = std::move(wholes);
  longest_whole_ = longest;
}

// --- Encoding --------------------------------------------------------------------------------------------------------

void Bpe::Encode(std::string_view piece, Scratch* scratch, std::vector<int32_t>* ids) const {
  const Whole* whole = FindWhole(piece);
  if (whole != nullptr && (whole->own_encoding || ignore_merges_)) return ids->push_back(whole->id);
  std::vector<int32_t>& symbols = scratch->symbols;
  symbols.clear();
  bool after_unk = false;
  size_t cut = 0;  // where the symbols begin
  for (size_t i = 0; i < piece.size();) {
    const CodePoint letter = CodePointAt(piece, i);
    const size_t count = symbols.size();
    after_unk = AppendLetter(piece.substr(i, letter.length), letter.value, after_unk, &symbols);
    if (count > 0 && count < symbols.size() && !joints_.contains(PairKey(symbols[count - 1], symbols[count]))) {
      EncodeCut(piece.substr(cut, i - cut), count, scratch, ids);
      symbols.erase(symbols.begin(), symbols.begin() + count);
      cut = i;
    }
    i += letter.length;
  }
  EncodeCut(piece.substr(cut), symbols.size(), scratch, ids);
}

const Bpe::Whole* Bpe::FindWhole(std::string_view text) const {
  if (text.size() > longest_whole_) return nullptr;
  const auto found = wholes_.find(ToAbsl(text));
  return found == wholes_.end() ? nullptr : &found->second;
}

// Returns whether the letter is unknown.
bool Bpe::AppendLetter(std::string_view letter, char32_t code_point, bool after_unk,
                       std::vector<int32_t>* symbols) const {
  const int32_t id = code_point < letters_.size() ? letters_[code_point] : -1;
  if (id >= 0) {
    symbols->push_back(id);
    return false;
  }
  const auto id_of_byte = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  if (!byte_ids_.empty() && std::all_of(letter.begin(), letter.end(), [&](char b) { return id_of_byte(b) >= 0; })) {
    for (const char byte : letter) symbols->push_back(id_of_byte(byte));
    return false;
  }
  if (unk_id_.has_value() && !(fuse_unk_ && after_unk)) symbols->push_back(*unk_id_);
  return true;
}

// `text` is what the first `count` of scratch->symbols stand for.
void Bpe::EncodeCut(std::string_view text, size_t count, Scratch* scratch, std::vector<int32_t>* ids) const {
  if (count < 2) {
    ids->insert(ids->end(), scratch->symbols.begin(), scratch->symbols.begin() + count);
  } else if (const Whole* whole = FindWhole(text); whole != nullptr && whole->own_encoding) {
    ids->push_back(whole->id);
  } else {
    ApplyMerges(static_cast<int64_t>(count), scratch, ids);
  }
}

void Bpe::ApplyMerges(int64_t count, Scratch* scratch, std::vector<int32_t>* ids) const {
  auto& [symbols, links, queue] = *scratch;
  links.resize(count);
  queue.clear();
  for (int64_t i = 0; i < count; ++i) links[i] = {symbols[i], i - 1, i + 1 < count ? i + 1 : -1};
  const auto consider = [&](int64_t left) {
    if (left < 0 || links[left].next < 0) return false;
    const uint64_t pair = PairKey(links[left].id, links[links[left].next].id);
    const auto merge = merges_.find(pair);
    if (merge == merges_.end()) return false;
    queue.push_back({merge->second.rank, merge->second.result, left, pair});
    return true;
  };
  for (int64_t i = 0; i + 1 < count; ++i) consider(i);
  std::make_heap(queue.begin(), queue.end());
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end());
    const Scratch::Candidate best = queue.back();
    queue.pop_back();
    Scratch::Link& left = links[best.left];
    if (left.id < 0 || left.next < 0 || PairKey(left.id, links[left.next].id) != best.pair) continue;
    Scratch::Link& right = links[left.next];
    left.id = best.result;
    right.id = -1;  // gone
    left.next = right.next;
    if (left.next >= 0) links[left.next].previous = best.left;
    if (consider(left.previous)) std::push_heap(queue.begin(), queue.end());
    if (consider(best.left)) std::push_heap(queue.begin(), queue.end());
  }
  for (int64_t i = 0; i >= 0; i = links[i].next) ids->push_back(links[i].id);
}

}  // namespace weft
