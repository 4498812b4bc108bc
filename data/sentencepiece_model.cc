// A thin cover of the library.
#include "data/sentencepiece_model.h"

#include <sentencepiece_processor.h>

namespace weft {

struct SentencePieceModel::Library {
  sentencepiece::SentencePieceProcessor processor;
};

SentencePieceModel::SentencePieceModel() : library_(std::make_unique<Library>()) {}
SentencePieceModel::~SentencePieceModel() = default;

std::unique_ptr<SentencePieceModel> SentencePieceModel::Parse(std::string_view bytes, std::string* error) {
  std::unique_ptr<SentencePieceModel> model(new SentencePieceModel());
  const sentencepiece::util::Status status = model->library_->processor.LoadFromSerializedProto(bytes);
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

bool SentencePieceModel::Encode(std::string_view text, std::vector<int32_t>* ids) const {
  std::vector<int> found;
  if (!library_->processor.Encode(text, &found).ok()) return false;
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
