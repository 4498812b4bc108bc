// Fuzzes the reading of data sets: JSON Lines, JSON and CSV of all record formats to tokens and loss masks.
#include <fstream>

#include "core/check.h"
#include "data/sample_encoder.h"
#include "tests/fuzz/mutate.h"

namespace weft {
namespace {

constexpr char kTemplate[] = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|end|>{% endfor %}";
constexpr const char* kDataFiles[] = {"last_input.jsonl", "last_input.json", "last_input.csv"};

const SampleEncoder& Encoder() {
  static const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::ByteLevel();
  static const SampleEncoder encoder(*tokenizer, {}, ChatTemplate::Parse(kTemplate, "template", ""), {});
  return encoder;
}

bool ReadAs(const char* name, const std::string& input) {
  std::ofstream(name, std::ios::binary) << input;
  const StatusOr<InputFiles> files = FindInputFiles({name});
  WEFT_CHECK_OK(files);
  DocumentReader reader(*files);
  bool any = false;
  while (true) {
    const StatusOr<std::optional<Document>> document = reader.Next();
    if (!document.ok()) return false;
    if (!document->has_value()) return any;
    StatusOr<EncodedSample> sample = Encoder().Encode(**document);
    if (!sample.ok()) continue;
    any = true;
    WEFT_CHECK_EQ(sample->tokens.size(), sample->loss_mask.size());
    FitSample(TooLong::kCut, /*sequence_length=*/32, &*sample);
  }
}

bool FuzzOne(const std::string& input) {
  bool any = false;
  for (const char* name : kDataFiles) any |= ReadAs(name, input);
  return any;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) { return weft::FuzzMain(argc, argv, weft::FuzzOne); }
