// SentencePieceModel: a tokenizer.model (SentencePiece's own file, BPE or Unigram), run by SentencePiece's own library,
// so that ids are those of the reference: Kudo and Richardson, "SentencePiece", EMNLP 2018.
//
// Only the standard library in this header: the library's header declares names of Abseil anew, so no file may include
// both.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

class SentencePieceModel {
 public:
  // `bytes` is the file. Null, and the reason in `error`, where it is not one, or is of a kind whose tokens do not
  // give the text back (spaces as suffixes). A model that puts a space in front of a text does so with the parts of one, too,
  // unless `legacy` (Hugging Face's name for that) is false.
  static std::unique_ptr<SentencePieceModel> Parse(std::string_view bytes, bool legacy, std::string* error);
  ~SentencePieceModel();

  // Appends the ids of `text` (UTF-8), which begins a text or is a later part of one; control tokens never come out of it.
  // Thread-safe. False where the library fails.
  bool Encode(std::string_view text, bool begins_text, std::vector<int32_t>* ids) const;

  int32_t num_pieces() const;
  std::string PieceOf(int32_t id) const;
  bool IsControl(int32_t id) const;  // control tokens and the unknown one: they stand for no text
  // -1 where the model has none.
  int32_t bos_id() const;
  int32_t eos_id() const;
  int32_t pad_id() const;
  bool adds_space_in_front() const { return adds_space_in_front_; }

 private:
  struct Library;
  SentencePieceModel();
  std::unique_ptr<Library> library_;
  bool adds_space_in_front_ = false;
};

}  // namespace weft
