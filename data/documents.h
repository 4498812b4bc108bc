// Documents: the texts of files, folders and JSON Lines, one after another, in an order that depends on the inputs
// alone.
//
// A text file is one document. A .jsonl file is one record a line, as it stands (data/conversation.h reads it); blank
// lines are passed over.
// Folders are searched below, in sorted order; what is hidden (.git), a build folder, or not text (a zero byte or bytes
// that are not UTF-8) is skipped and counted. A file named as an input itself must be text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/status.h"

namespace weft {

struct InputFile {
  std::string path;
  int64_t bytes = 0;
  bool named = false;  // an input itself, not found in a folder
};

struct InputFiles {
  std::vector<InputFile> files;
  int64_t num_skipped_folders = 0;  // hidden and build folders
  int64_t num_skipped_files = 0;    // hidden files
  int64_t bytes() const;
};

// Fails where an input does not exist, and where folders hold no file.
StatusOr<InputFiles> FindInputFiles(const std::vector<std::string>& inputs);

struct Document {
  std::string bytes;       // UTF-8 where it is text
  std::string place;       // "file" or "file:line", for messages
  bool is_record = false;  // a line of JSON
};

// Reads the documents of files one by one. Memory: the largest document.
class DocumentReader {
 public:
  // `files` must outlive this.
  explicit DocumentReader(const InputFiles& files) : files_(files) {}

  // The next document that is not empty; nothing at the end. Errors name the file.
  StatusOr<std::optional<Document>> Next();

  int64_t bytes_read() const { return bytes_before_ + position_; }  // of InputFiles::bytes()
  int64_t num_not_text() const { return num_not_text_; }
  int64_t num_empty() const { return num_empty_; }

 private:
  StatusOr<std::optional<Document>> NextOfFile(const InputFile& file);
  std::optional<Document> NextLine(const InputFile& file);
  void CloseFile();

  const InputFiles& files_;
  size_t index_ = 0;                // of the current file
  std::optional<MappedFile> open_;  // the current file
  int64_t position_ = 0;            // in it, bytes
  int64_t line_ = 0;                // of a .jsonl file, from 1
  int64_t bytes_before_ = 0;        // of the files before it
  int64_t num_not_text_ = 0, num_empty_ = 0;
};

}  // namespace weft
