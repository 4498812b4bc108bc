// Documents: the texts of files and folders, and the records of JSON and CSV files, one after another, in an order that
// depends on the inputs alone.
//
// A text file is one document, or, above a bound, several: it is cut behind the last line break before the bound, and where
// a line is longer than that, between two characters. So no file needs the memory of all of it. A .jsonl file is one record
// a line, as it stands (data/conversation.h reads it); blank lines are passed over. A .json, .csv or .tsv file that is named as an input holds records, too (data/json_records.h,
// data/csv_rows.h); one that is found in a folder is a text like others, because folders of texts are full of such files.
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
#include "data/record_source.h"

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
  int64_t num_records_as_text = 0;  // .json, .csv and .tsv files in folders
  int64_t bytes() const;
};

// Fails where an input does not exist, and where folders hold no file.
StatusOr<InputFiles> FindInputFiles(const std::vector<std::string>& inputs);

struct Document {
  std::string bytes;       // UTF-8 where it is text
  std::string place;       // "file", "file:line" or "file, from byte N", for messages
  bool is_record = false;  // JSON of an object
};

inline constexpr int64_t kMaxTextBytes = int64_t{64} << 20;  // of text in a document: no sequence has as many tokens

// Reads the documents of files one by one. Memory: the largest document.
class DocumentReader {
 public:
  // `files` must outlive this. `csv_delimiter` is that of .csv files. Texts are cut above `max_text_bytes`, at least 4.
  explicit DocumentReader(const InputFiles& files, char csv_delimiter = ',', int64_t max_text_bytes = kMaxTextBytes)
      : files_(files), csv_delimiter_(csv_delimiter), max_text_bytes_(max_text_bytes) {}

  // The next document that is not empty; nothing at the end. Errors name the file.
  StatusOr<std::optional<Document>> Next();

  int64_t bytes_read() const { return bytes_before_ + position_; }  // of InputFiles::bytes()
  int64_t num_not_text() const { return num_not_text_; }
  int64_t num_empty() const { return num_empty_; }

 private:
  StatusOr<std::optional<Document>> NextOfFile(const InputFile& file);
  StatusOr<std::optional<Document>> NextText(const InputFile& file);
  StatusOr<std::optional<Document>> NextLine(const InputFile& file);
  StatusOr<std::optional<Document>> NextRecord(const InputFile& file);
  void CloseFile();

  const InputFiles& files_;
  const char csv_delimiter_;
  const int64_t max_text_bytes_;
  size_t index_ = 0;                // of the current file
  std::optional<MappedFile> open_;  // the current file
  std::unique_ptr<RecordSource> records_;  // of it, where it is .json, .csv or .tsv
  int64_t position_ = 0;            // in it, bytes
  int64_t line_ = 0;                // of a .jsonl file, from 1; of a text file, its documents so far
  int64_t bytes_before_ = 0;        // of the files before it
  int64_t num_not_text_ = 0, num_empty_ = 0;
};

}  // namespace weft
