// safetensors: the file format of Hugging Face's weights. Format and validation after the reference implementation
// (huggingface/safetensors, safetensors/src/tensor.rs): u64 header length, JSON header, data without holes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/file.h"
#include "core/shape.h"
#include "core/status.h"

namespace weft {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;            // as the file says: "F32", "BF16", "F8_E4M3", ...
  std::vector<uint64_t> shape;  // empty: a scalar
  uint64_t begin = 0, end = 0;  // bytes, from the start of the data
};

// A file mapped into memory, its header checked entirely: what Open accepts, the reference implementation accepts.
class SafetensorsFile {
 public:
  static StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }  // by offset
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // The bytes of one of entries().
  std::string_view Data(const SafetensorsEntry& entry) const;

 private:
  SafetensorsFile(std::string path, MappedFile file) : path_(std::move(path)), file_(std::move(file)) {}
  Status ReadHeader();

  std::string path_;
  MappedFile file_;
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
  uint64_t data_begin_ = 0;  // in the file
};

// Writes a file as a stream: the header first, then the tensors in their order, in any portions. Written aside, flushed
// to disk and renamed by Finish; a writer that goes away before that removes what it wrote.
class SafetensorsWriter {
 public:
  struct Tensor {
    std::string name;
    DType dtype;  // f32 | bf16 | f16
    Shape shape;
  };
  // `tensors` in the order in which their data will come: the larger element types first, as the format's own writer.
  static StatusOr<SafetensorsWriter> Create(const std::string& path, const std::vector<Tensor>& tensors,
                                            const std::map<std::string, std::string>& metadata);
  Status Append(std::string_view bytes);
  Status Finish();

  SafetensorsWriter(SafetensorsWriter&&) = default;
  SafetensorsWriter& operator=(SafetensorsWriter&&) = default;
  ~SafetensorsWriter();

 private:
  SafetensorsWriter(std::string path, std::FILE* file, uint64_t num_bytes);

  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;  // of the file aside
  uint64_t missing_bytes_;                                // of data, still to come
};

}  // namespace weft
