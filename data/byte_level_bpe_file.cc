// The stages as Hugging Face writes them for models of this kind.
#include "data/byte_level_bpe_file.h"

#include <nlohmann/json.hpp>

#include "core/str_cat.h"
#include "data/byte_alphabet.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> ControlTokens() {
  std::vector<std::string> tokens = {"<|begin_of_text|>", "<|endoftext|>", "<|pad|>"};
  const int num_named = static_cast<int>(tokens.size());
  for (int i = 0; i < kNumControlTokens - num_named; ++i) tokens.push_back(StrCat("<|reserved_", i, "|>"));
  return tokens;
}

Json AddedTokensJson(int first_id) {
  Json added_tokens = Json::array();
  for (const std::string& token : ControlTokens()) {
    added_tokens.push_back({{"id", first_id + added_tokens.size()}, {"content", token}, {"single_word", false},
                            {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", true}});
  }
  return added_tokens;
}

// BOS in front.
Json PostProcessorJson(int bos_id) {
  const std::string bos = ControlTokens().front();
  const Json bos_piece = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
  const Json first = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json second = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({bos_piece, first})},
          {"pair", Json::array({bos_piece, first, second})},
          {"special_tokens", {{bos, {{"id", bos}, {"ids", Json::array({bos_id})}, {"tokens", Json::array({bos})}}}}}};
}

Json ModelJson(const ByteLevelBpe& bpe) {
  Json vocab = Json::object();
  std::vector<std::string> letters;  // by id: the token in the byte alphabet
  for (const std::string& token : bpe.tokens) {
    letters.push_back(ToByteAlphabet(token));
    vocab[letters.back()] = letters.size() - 1;
  }
  Json merges = Json::array();
  for (const auto& [left, right] : bpe.merges) merges.push_back(Json::array({letters[left], letters[right]}));
  return {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr}, {"fuse_unk", false}, {"byte_fallback", false}, {"ignore_merges", false},
          {"vocab", vocab}, {"merges", merges}};
}

}  // namespace

std::string TokenizerJson(const ByteLevelBpe& bpe) {
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  Json pre_tokenizer = byte_level;
  if (!bpe.pattern.empty()) {
    const Json split = {
        {"type", "Split"}, {"pattern", {{"Regex", bpe.pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
    pre_tokenizer = {{"type", "Sequence"}, {"pretokenizers", Json::array({split, byte_level})}};
  }
  const int first_control = static_cast<int>(bpe.tokens.size());
  const Json file = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", AddedTokensJson(first_control)},
      {"normalizer", nullptr},
      {"pre_tokenizer", pre_tokenizer},
      {"post_processor", PostProcessorJson(first_control)},
      {"decoder", byte_level},
      {"model", ModelJson(bpe)},
  };
  return file.dump(2) + "\n";
}

std::string TokenizerConfigJson() {
  const std::vector<std::string> tokens = ControlTokens();
  const Json file = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                     {"bos_token", tokens[0]},
                     {"eos_token", tokens[1]},
                     {"pad_token", tokens[2]},
                     {"add_bos_token", true},
                     {"clean_up_tokenization_spaces", false}};
  return file.dump(2) + "\n";
}

}  // namespace weft
