// Reading by memory map, writing by stream (see safetensors.h).
#include "checkpoint/safetensors.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "checkpoint/safetensors_header.h"
#include "core/check.h"

namespace weft {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own bound

std::string AsidePath(const std::string& path) { return path + ".tmp"; }

std::string FormatName(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "F32";
    case DType::kBF16: return "BF16";
    case DType::kF16: return "F16";
    default: WEFT_CHECK(false) << "no safetensors are written of " << DTypeName(dtype);
  }
  return "";
}

Status WriteError(const std::string& path) {
  return absl::UnavailableError(StrCat("cannot write ", path, ": ", std::strerror(errno)));
}

// The header's length, its JSON, and spaces to a multiple of 8. *num_bytes: of the data that follow.
std::string MakeHeader(const std::vector<SafetensorsWriter::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata, uint64_t* num_bytes) {
  nlohmann::ordered_json header;
  header["__metadata__"] = metadata;
  uint64_t end = 0;
  for (const SafetensorsWriter::Tensor& tensor : tensors) {
    const uint64_t begin = end;
    end += static_cast<uint64_t>(tensor.shape.num_elements()) * DTypeSize(tensor.dtype);
    header[tensor.name] = {{"dtype", FormatName(tensor.dtype)},
                           {"shape", std::vector<int64_t>(tensor.shape.begin(), tensor.shape.end())},
                           {"data_offsets", {begin, end}}};
  }
  *num_bytes = end;
  std::string json = header.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');
  const uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), kLengthBytes) + json;
}

}  // namespace

StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  SafetensorsFile file(path, std::move(mapped));
  WEFT_RETURN_IF_ERROR(WithContext(file.ReadHeader(), path));
  return file;
}

Status SafetensorsFile::ReadHeader() {
  const std::string_view bytes = file_.bytes();
  if (bytes.size() < kLengthBytes) return DataError("not safetensors: ", bytes.size(), " bytes hold no header");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) return DataError("not safetensors: a header of ", length, " bytes is more than the format allows");
  if (length > bytes.size() - kLengthBytes) {
    return DataError("the header needs ", length, " bytes, the file has ", bytes.size(), ": truncated, or not safetensors");
  }
  WEFT_ASSIGN_OR_RETURN(SafetensorsHeader header, ParseSafetensorsHeader(bytes.substr(kLengthBytes, length)));
  data_begin_ = kLengthBytes + length;
  WEFT_RETURN_IF_ERROR(CheckSafetensorsEntries(&header.entries, bytes.size() - data_begin_));
  entries_ = std::move(header.entries);
  metadata_ = std::move(header.metadata);
  return absl::OkStatus();
}

std::string_view SafetensorsFile::Data(const SafetensorsEntry& entry) const {
  return file_.bytes().substr(data_begin_ + entry.begin, entry.end - entry.begin);
}

SafetensorsWriter::SafetensorsWriter(std::string path, std::FILE* file, uint64_t num_bytes)
    : path_(std::move(path)), file_(file, &std::fclose), missing_bytes_(num_bytes) {}

StatusOr<SafetensorsWriter> SafetensorsWriter::Create(const std::string& path, const std::vector<Tensor>& tensors,
                                                      const std::map<std::string, std::string>& metadata) {
  std::FILE* const file = std::fopen(AsidePath(path).c_str(), "wbe");
  if (file == nullptr) return WriteError(AsidePath(path));
  uint64_t num_bytes = 0;
  const std::string header = MakeHeader(tensors, metadata, &num_bytes);
  SafetensorsWriter writer(path, file, num_bytes + header.size());
  WEFT_RETURN_IF_ERROR(writer.Append(header));
  return writer;
}

Status SafetensorsWriter::Append(std::string_view bytes) {
  WEFT_CHECK_LE(bytes.size(), missing_bytes_) << path_ << ": more data than the header says";
  missing_bytes_ -= bytes.size();
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) return WriteError(AsidePath(path_));
  return absl::OkStatus();
}

Status SafetensorsWriter::Finish() {
  WEFT_CHECK_EQ(missing_bytes_, 0u) << path_ << ": less data than the header says";
  if (std::fclose(file_.release()) != 0) return WriteError(AsidePath(path_));
  Status status = SyncFile(AsidePath(path_));
  if (status.ok()) status = RenameDurably(AsidePath(path_), path_);
  if (!status.ok()) std::remove(AsidePath(path_).c_str());
  return status;
}

SafetensorsWriter::~SafetensorsWriter() {
  if (file_ != nullptr) std::remove(AsidePath(path_).c_str());
}

}  // namespace weft
