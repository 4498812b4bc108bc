// Export of a checkpoint's weights: tensor by tensor, in portions, so that memory stays bounded.
#include "checkpoint/hugging_face.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/model_files.h"
#include "checkpoint/model_folder_texts.h"
#include "checkpoint/safetensors.h"
#include "core/file.h"
#include "core/log.h"
#include "core/progress.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWeights = "weights/";  // the kind of tensors that an export takes
constexpr int64_t kPortionBytes = int64_t{64} << 20;
// "format" is what transformers asks for; "writer" is how an earlier export is known from somebody's model.
const std::map<std::string, std::string> kMetadata = {{"format", "pt"}, {"writer", "weft"}};

struct OutputTensor : SafetensorsWriter::Tensor {
  bool transposed = false;  // of the checkpoint's
};

struct OutputFile {
  std::string name;
  std::vector<OutputTensor> tensors;
};

std::vector<OutputTensor> TensorsToExport(const CheckpointReader& reader, DType dtype) {
  std::vector<OutputTensor> tensors;
  for (const CheckpointTensor& tensor : reader.Tensors()) {
    if (!tensor.name.starts_with(kWeights)) continue;
    const Shape shape = tensor.transposed ? Shape{tensor.shape[1], tensor.shape[0]} : tensor.shape;
    tensors.push_back({{tensor.name.substr(kWeights.size()), dtype, shape}, tensor.transposed});
  }
  return tensors;
}

int64_t NumBytes(const OutputTensor& tensor) {
  return tensor.shape.num_elements() * static_cast<int64_t>(DTypeSize(tensor.dtype));
}

// In order, as many tensors to a file as fit; a tensor is never cut.
std::vector<OutputFile> PlanFiles(const std::vector<OutputTensor>& tensors, int64_t max_file_bytes) {
  std::vector<OutputFile> files(1);
  int64_t bytes = 0;
  for (const OutputTensor& tensor : tensors) {
    if (!files.back().tensors.empty() && bytes + NumBytes(tensor) > max_file_bytes) {
      files.emplace_back();
      bytes = 0;
    }
    bytes += NumBytes(tensor);
    files.back().tensors.push_back(tensor);
  }
  for (size_t i = 0; i < files.size(); ++i) {
    files[i].name = files.size() == 1 ? kSingleFile : absl::StrFormat("model-%05d-of-%05d.safetensors", i + 1, files.size());
  }
  return files;
}

// `values` as bytes of `dtype`.
std::string Encoded(ConstTensorView values, DType dtype) {
  if (dtype == DType::kF32) return {static_cast<const char*>(values.raw()), values.num_bytes()};
  const auto count = static_cast<size_t>(values.num_elements());
  std::vector<bf16> rounded(count);
  const float* from = values.data<float>();
  for (size_t i = 0; i < count; ++i) rounded[i] = bf16(from[i]);
  return {reinterpret_cast<const char*>(rounded.data()), count * sizeof(bf16)};
}

// Rows [row, end) of the output, into `values` [end - row, columns] f32.
Status LoadRows(CheckpointReader& reader, const OutputTensor& tensor, int64_t row, int64_t end, TensorView values) {
  const int64_t num_rows = tensor.shape[0], columns = tensor.shape.row_elements();
  const std::string name = StrCat(kWeights, tensor.name);
  if (!tensor.transposed) return reader.Load({{name, tensor.shape, row, end, 0, columns, values}});
  Tensor stored({columns, end - row}, DType::kF32);  // columns [row, end) of the checkpoint's
  WEFT_RETURN_IF_ERROR(reader.Load({{name, {columns, num_rows}, 0, columns, row, end, stored.view().Flat()}}));
  for (int64_t i = 0; i < columns; ++i) {
    for (int64_t j = 0; j < end - row; ++j) values.data<float>()[j * columns + i] = stored.data<float>()[i * (end - row) + j];
  }
  return absl::OkStatus();
}

Status WriteTensor(CheckpointReader& reader, const OutputTensor& tensor, SafetensorsWriter& writer, Progress& progress) {
  const int64_t num_rows = tensor.shape[0], columns = tensor.shape.row_elements();
  const int64_t portion = std::max<int64_t>(1, kPortionBytes / (columns * static_cast<int64_t>(sizeof(float))));
  Tensor memory({std::min(portion, num_rows) * columns}, DType::kF32);
  for (int64_t row = 0; row < num_rows; row += portion) {
    const int64_t end = std::min(row + portion, num_rows);
    const TensorView values = memory.view().Rows(0, (end - row) * columns);
    WEFT_RETURN_IF_ERROR(LoadRows(reader, tensor, row, end, values));
    const std::string bytes = Encoded(values, tensor.dtype);
    WEFT_RETURN_IF_ERROR(writer.Append(bytes));
    progress.Advance(static_cast<int64_t>(bytes.size()));
  }
  return absl::OkStatus();
}

Status WriteWeights(CheckpointReader& reader, const std::string& folder, const std::vector<OutputFile>& files) {
  int64_t total_bytes = 0;
  for (const OutputFile& file : files) {
    for (const auto& tensor : file.tensors) total_bytes += NumBytes(tensor);
  }
  Progress progress("exporting", total_bytes, "bytes");
  std::map<std::string, std::string> weight_map;
  for (const OutputFile& file : files) {
    const std::vector<SafetensorsWriter::Tensor> described(file.tensors.begin(), file.tensors.end());
    WEFT_ASSIGN_OR_RETURN(SafetensorsWriter writer, SafetensorsWriter::Create(StrCat(folder, "/", file.name), described, kMetadata));
    for (const auto& tensor : file.tensors) {
      WEFT_RETURN_IF_ERROR(WriteTensor(reader, tensor, writer, progress));
      weight_map[tensor.name] = file.name;
    }
    WEFT_RETURN_IF_ERROR(writer.Finish());
  }
  if (files.size() == 1) return absl::OkStatus();
  return WriteFileAtomically(StrCat(folder, "/", kShardTable), ShardTableText(weight_map, total_bytes));
}

Status WriteTexts(const CheckpointInfo& info, const std::string& folder, DType dtype) {
  WEFT_ASSIGN_OR_RETURN(const ModelFolderTexts texts, MakeModelFolderTexts(info, dtype));
  for (const auto& [name, text] : texts) WEFT_RETURN_IF_ERROR(WriteFileAtomically(StrCat(folder, "/", name), text));
  if (info.tokenizer_json.empty()) LogWarning("the checkpoint has no tokenizer: the export is without one");
  return absl::OkStatus();
}

// --- The target folder ----------------------------------------------------------------------------------------------

bool IsNameOfOurs(const std::string& name) {
  static const std::set<std::string> kNames = {kSingleFile, kShardTable, kConfigFile, kGenerationConfigFile, kTokenizerFile, kTokenizerModelFile,
                                               kTokenizerConfigFile, kTableFile};
  return kNames.contains(name) || (name.starts_with("model-") && name.ends_with(".safetensors"));
}

bool IsWrittenByUs(const std::string& path) {
  const StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  return file.ok() && file->metadata() == kMetadata;
}

// An export may take the place of nothing, of an empty folder and of an earlier export: all files as an export names
// them, the weights with our mark.
Status CheckTarget(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return absl::OkStatus();
  if (!fs::is_directory(folder, error)) return UserError(folder, " is a file; --to needs a folder");
  bool is_empty = true, has_weights = false;
  std::string foreign;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const bool is_weights = name.ends_with(".safetensors");
    is_empty = false;
    has_weights |= is_weights;
    if (!IsNameOfOurs(name) || (is_weights && !IsWrittenByUs(entry->path().string()))) foreign = name;
  }
  if (error) return absl::UnavailableError(StrCat("cannot list ", folder, ": ", error.message()));
  if (is_empty || (has_weights && foreign.empty())) return absl::OkStatus();
  return UserError(folder, " is not empty and not an earlier export",
                   foreign.empty() ? std::string() : StrCat(" (it holds ", foreign, ")"), "; name another folder");
}

Status RemoveFolder(const std::string& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) return absl::UnavailableError(StrCat("cannot remove ", folder, ": ", error.message()));
  return absl::OkStatus();
}

Status WriteFolder(CheckpointReader& reader, const std::string& folder, const ExportOptions& options) {
  const auto tensors = TensorsToExport(reader, options.dtype);
  if (tensors.empty()) return DataError("the checkpoint holds no weights");
  WEFT_RETURN_IF_ERROR(RemoveFolder(folder));
  WEFT_RETURN_IF_ERROR(MakeFolders(folder));
  WEFT_RETURN_IF_ERROR(WriteTexts(reader.info(), folder, options.dtype));
  WEFT_RETURN_IF_ERROR(WriteWeights(reader, folder, PlanFiles(tensors, options.max_file_bytes)));
  return SyncFile(folder);
}

}  // namespace

Status ExportHuggingFace(const std::string& checkpoint, const std::string& folder, const ExportOptions& options) {
  if (options.dtype != DType::kF32 && options.dtype != DType::kBF16) {
    return UserError("an export is f32 or bf16, not ", DTypeName(options.dtype));
  }
  std::string target = fs::absolute(folder).lexically_normal().string();
  while (target.size() > 1 && target.ends_with('/')) target.pop_back();
  WEFT_RETURN_IF_ERROR(CheckTarget(target));
  WEFT_ASSIGN_OR_RETURN(CheckpointReader reader, CheckpointReader::Open(checkpoint));
  const std::string partial = target + ".partial";
  const Status status = WriteFolder(reader, partial, options);
  if (!status.ok()) {
    RemoveFolder(partial).IgnoreError();  // the first error says more
    return status;
  }
  WEFT_RETURN_IF_ERROR(RemoveFolder(target));
  return RenameDurably(partial, target);
}

}  // namespace weft
