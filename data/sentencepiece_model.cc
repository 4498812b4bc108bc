// A thin cover of the library.
#include "data/sentencepiece_model.h"

#include <sentencepiece_processor.h>

namespace weft {

namespace {

// A ModelProto with normalizer_spec.add_dummy_prefix false and nothing else. Protocol buffers that are put together are merged,
// and the last value counts; the library's interface has no other way to this option.
constexpr std::string_view kNoSpaceInFront("\x1a\x02\x18\x00", 4);

}  // namespace

struct SentencePieceModel::Library {
  sentencepiece::SentencePieceProcessor processor;
  sentencepiece::SentencePieceProcessor continuing;  // for later parts of a text; loaded where they get no space in front
};

SentencePieceModel::SentencePieceModel() : library_(std::make_unique<Library>()) {}
SentencePieceModel::~SentencePieceModel() = default;

std::unique_ptr<SentencePieceModel> SentencePieceModel::Parse(std::string_view bytes, bool legacy, std::string* error) {
  std::unique_ptr<SentencePieceModel> model(new SentencePieceModel());
  sentencepiece::util::Status status = model->library_->processor.LoadFromSerializedProto(bytes);
  if (status.ok() && !legacy) {
    status = model->library_->continuing.LoadFromSerializedProto(std::string(bytes) + std::string(kNoSpaceInFront));
  }
  if (!status.ok()) {
    *error = status.ToString();
    return nullptr;
  }
  // The file's options are not in the library's interface; what becomes of one letter shows them.
  constexpr std::string_view kSpaceSign = "\u2581";
  std::string written;
  for (const std::string& piece : model->library_->processor.EncodeAsPieces("a")) written += piece;
  model->adds_space_in_front_ = written.starts_with(kSpaceSign);
  if (!model->adds_space_in_front_ && written.ends_with(kSpaceSign)) {
    *error = "models that write spaces as suffixes (treat_whitespace_as_suffix) are not supported";
    return nullptr;
  }
  return model;
}

bool SentencePieceModel::Encode(std::string_view text, bool begins_text, std::vector<int32_t>* ids) const {
  const bool continues = !begins_text && library_->continuing.status().ok();
  std::vector<int> found;
  if (!(continues ? library_->continuing : library_->processor).Encode(text, &found).ok()) return false;
  ids->insert(ids->end(), found.begin(), found.end());
  return true;
}

int32_t SentencePieceModel::num_pieces() const { return library_->processor.GetPieceSize(); }
std::string SentencePieceModel::PieceOf(int32_t id) const { return library_->processor.IdToPiece(id); }
bool SentencePieceModel::IsControl(int32_t id) const {
  return library_->processor.IsControl(id) || library_->processor.IsUnknown(id);
}
int32_t SentencePieceModel::bos_id() const { return library_->processor.bos_id(); }
int32_t SentencePieceModel::eos_id() const { return library_->processor.eos_id(); }
int32_t SentencePieceModel::pad_id() const { return library_->processor.pad_id(); }

}  // namespace weft
