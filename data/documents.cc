// Searching folders, and reading files by memory map.
#include "data/documents.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>

#include "core/utf8.h"
#include "data/csv_rows.h"
#include "data/json_records.h"
#include "data/utf8.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

// Folders of things that tools made; hidden ones (.git, .venv) go by their dot.
bool IsBuildFolder(const std::string& name) {
  static const std::set<std::string> names = {"build", "node_modules", "target", "__pycache__", "dist", "venv"};
  return names.contains(name);
}

Status FilesystemError(const fs::path& path, const std::error_code& error) {
  const std::string message = StrCat("cannot read ", path.string(), ": ", error.message());
  if (error == std::errc::no_such_file_or_directory) return absl::NotFoundError(message);
  return absl::UnavailableError(message);
}

// Links inside folders are not followed: they lead outside, or in circles.
Status SearchFolder(const fs::path& folder, InputFiles* found) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    entries.push_back(*entry);
  }
  if (error) return FilesystemError(folder, error);
  std::sort(entries.begin(), entries.end());
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    const bool hidden = name.starts_with(".");
    const fs::file_status status = entry.symlink_status(error);
    if (error) return FilesystemError(entry.path(), error);
    if (fs::is_directory(status)) {
      if (hidden || IsBuildFolder(name)) {
        ++found->num_skipped_folders;
      } else {
        WEFT_RETURN_IF_ERROR(SearchFolder(entry.path(), found));
      }
    } else if (!fs::is_regular_file(status) || hidden) {
      ++found->num_skipped_files;
    } else {
      found->files.push_back({entry.path().string(), static_cast<int64_t>(entry.file_size(error)), false});
      if (error) return FilesystemError(entry.path(), error);
    }
  }
  return absl::OkStatus();
}

bool MayHoldRecords(const std::string& path) {
  return path.ends_with(".json") || path.ends_with(".csv") || path.ends_with(".tsv");
}

bool IsText(std::string_view bytes) { return bytes.find('\0') == std::string_view::npos && IsUtf8(bytes); }

// How many bytes of `text` make a document.
size_t EndOfText(std::string_view text, size_t most) {
  if (text.size() <= most) return text.size();
  const size_t line_break = text.rfind('\n', most - 1);
  if (line_break != std::string_view::npos) return line_break + 1;
  return most - CutOffBytes(text.substr(0, most));
}

}  // namespace

int64_t InputFiles::bytes() const {
  int64_t sum = 0;
  for (const InputFile& file : files) sum += file.bytes;
  return sum;
}

StatusOr<InputFiles> FindInputFiles(const std::vector<std::string>& inputs) {
  InputFiles found;
  for (const std::string& input : inputs) {
    std::error_code error;
    const fs::file_status status = fs::status(input, error);
    if (error) return FilesystemError(input, error);
    if (fs::is_directory(status)) {
      WEFT_RETURN_IF_ERROR(SearchFolder(input, &found));
    } else {
      found.files.push_back({input, static_cast<int64_t>(fs::file_size(input, error)), true});
      if (error) return FilesystemError(input, error);
    }
  }
  found.num_records_as_text = std::count_if(found.files.begin(), found.files.end(), [](const InputFile& file) {
    return !file.named && MayHoldRecords(file.path);
  });
  if (found.files.empty()) return UserError("the inputs hold no file to read");
  return found;
}

StatusOr<std::optional<Document>> DocumentReader::Next() {
  while (index_ < files_.files.size()) {
    const InputFile& file = files_.files[index_];
    if (!open_.has_value()) {
      WEFT_ASSIGN_OR_RETURN(open_, MappedFile::Open(file.path));
    }
    WEFT_ASSIGN_OR_RETURN(std::optional<Document> document, NextOfFile(file));
    if (!document.has_value()) {
      CloseFile();
    } else if (document->bytes.empty()) {
      ++num_empty_;
    } else {
      return document;
    }
  }
  return std::nullopt;
}

StatusOr<std::optional<Document>> DocumentReader::NextOfFile(const InputFile& file) {
  if (file.path.ends_with(".jsonl")) return NextLine(file);
  if (file.named && MayHoldRecords(file.path)) return NextRecord(file);
  return NextText(file);
}

StatusOr<std::optional<Document>> DocumentReader::NextText(const InputFile& file) {
  const std::string_view bytes = open_->bytes();
  const auto begin = static_cast<size_t>(position_);
  if (line_++ > 0 && begin == bytes.size()) return std::nullopt;
  if (begin == 0 && !IsText(bytes)) {  // all of it is judged before any of it is taken
    if (file.named) return DataError(file.path, ": this is not text: it holds zero bytes or is not UTF-8");
    ++num_not_text_;
    return std::nullopt;
  }
  const std::string_view text = bytes.substr(begin, EndOfText(bytes.substr(begin), static_cast<size_t>(max_text_bytes_)));
  position_ += static_cast<int64_t>(text.size());
  return Document{std::string(text), begin == 0 ? file.path : StrCat(file.path, ", from byte ", begin), false};
}

StatusOr<std::optional<Document>> DocumentReader::NextLine(const InputFile& file) {
  const std::string_view bytes = open_->bytes();
  while (position_ < static_cast<int64_t>(bytes.size())) {
    const size_t begin = static_cast<size_t>(position_), end = std::min(bytes.find('\n', begin), bytes.size());
    position_ = static_cast<int64_t>(std::min(end + 1, bytes.size()));
    ++line_;
    const std::string_view line = bytes.substr(begin, end - begin);
    if (line.size() > kMaxRecordBytes) {
      return DataError(file.path, ":", line_, ": larger than ", kMaxRecordBytes, " bytes: is this JSON Lines, a record a line?");
    }
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    return Document{std::string(line), StrCat(file.path, ":", line_), true};
  }
  return std::nullopt;
}

StatusOr<std::optional<Document>> DocumentReader::NextRecord(const InputFile& file) {
  if (records_ == nullptr) {
    const std::string_view bytes = open_->bytes();
    if (file.path.ends_with(".json")) {
      records_ = std::make_unique<JsonRecords>(bytes);
    } else {
      records_ = std::make_unique<CsvRows>(bytes, file.path.ends_with(".tsv") ? '\t' : csv_delimiter_);
    }
  }
  StatusOr<std::optional<SourceRecord>> record = records_->Next();
  if (!record.ok()) return Status(record.status().code(), StrCat(file.path, ToStd(record.status().message())));
  position_ = static_cast<int64_t>(records_->position());
  if (!record->has_value()) return std::nullopt;
  return Document{std::move((*record)->json), file.path + (*record)->place, true};
}

void DocumentReader::CloseFile() {
  records_.reset();
  open_.reset();
  bytes_before_ += files_.files[index_].bytes;
  position_ = line_ = 0;
  ++index_;
}

}  // namespace weft
