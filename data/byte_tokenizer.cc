// tokenizer.json written from the byte alphabet: a BPE without merges.
#include "data/byte_tokenizer.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "core/str_cat.h"
#include "data/byte_alphabet.h"

namespace weft {
namespace {

constexpr int kNumBytes = 256;
constexpr int kNumControlTokens = 16;

std::vector<std::string> ControlTokens() {
  std::vector<std::string> tokens = {"<|begin_of_text|>", "<|endoftext|>", "<|pad|>"};
  const int num_named = static_cast<int>(tokens.size());
  for (int i = 0; i < kNumControlTokens - num_named; ++i) tokens.push_back(StrCat("<|reserved_", i, "|>"));
  return tokens;
}

}  // namespace

std::string ByteTokenizerJson() {
  using Json = nlohmann::ordered_json;
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  const std::vector<std::string> control_tokens = ControlTokens();
  const std::string& bos = control_tokens.front();

  Json added_tokens = Json::array();
  Json vocab = Json::object();
  for (int byte = 0; byte < kNumBytes; ++byte) vocab[ToByteAlphabet({reinterpret_cast<const char*>(&byte), 1})] = byte;
  for (int i = 0; i < kNumControlTokens; ++i) {
    added_tokens.push_back({{"id", kNumBytes + i}, {"content", control_tokens[i]}, {"single_word", false},
                            {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", true}});
  }
  const Json bos_piece = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
  const Json first = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json second = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  const Json file = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added_tokens},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", Json::array({bos_piece, first})},
        {"pair", Json::array({bos_piece, first, second})},
        {"special_tokens", {{bos, {{"id", bos}, {"ids", Json::array({kNumBytes})}, {"tokens", Json::array({bos})}}}}}}},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr}, {"fuse_unk", false}, {"byte_fallback", false}, {"ignore_merges", false},
        {"vocab", vocab}, {"merges", Json::array()}}},
  };
  return file.dump(2) + "\n";
}

std::string ByteTokenizerConfigJson() {
  const std::vector<std::string> tokens = ControlTokens();
  const nlohmann::ordered_json file = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                       {"bos_token", tokens[0]},
                                       {"eos_token", tokens[1]},
                                       {"pad_token", tokens[2]},
                                       {"add_bos_token", true},
                                       {"clean_up_tokenization_spaces", false}};
  return file.dump(2) + "\n";
}

}  // namespace weft
