// HDF5 calls behind index_hdf5.h.
#include "checkpoint/index_hdf5.h"

#include <array>
#include <limits>

#include "core/hdf5_file.h"

namespace weft {
namespace {

constexpr int64_t kFormat = 1;

struct Text {
  const char* name;
  std::string CheckpointInfo::*field;
};
constexpr Text kTexts[] = {{"config_yaml", &CheckpointInfo::config_yaml},
                           {"model_config_json", &CheckpointInfo::model_config_json},
                           {"tokenizer_json", &CheckpointInfo::tokenizer_json},
                           {"tokenizer_config_json", &CheckpointInfo::tokenizer_config_json},
                           {"data_digest", &CheckpointInfo::data_digest},
                           {"mesh", &CheckpointInfo::mesh}};
constexpr Text kOptionalTexts[] = {{"generation_config_json", &CheckpointInfo::generation_config_json},
                                   {"table_yaml", &CheckpointInfo::table_yaml},
                                   {"step_history_json", &CheckpointInfo::step_history_json},
                                   {"verified", &CheckpointInfo::verified}};

using Extents = std::array<hsize_t, 2>;

// Says in `creation` that the box of the virtual dataset is that dataset of that shard.
Status MapBox(const hdf5::Handle& creation, const hdf5::Handle& space, const Box& box, int num_dims) {
  const Extents start = {static_cast<hsize_t>(box.row_begin), static_cast<hsize_t>(box.col_begin)};
  const Extents count = {static_cast<hsize_t>(box.num_rows()), static_cast<hsize_t>(box.num_columns())};
  const hdf5::Handle source(H5Screate_simple(num_dims, count.data(), nullptr));
  if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
      H5Pset_virtual(creation.id(), space.id(), box.file.c_str(), box.dataset.c_str(), source.id()) < 0) {
    return hdf5::LastError(StrCat("cannot map ", box.dataset));
  }
  return absl::OkStatus();
}

Status WriteVirtualTensor(const hdf5::Handle& file, const std::string& name, const IndexedTensor& tensor) {
  const int num_dims = static_cast<int>(tensor.shape.size());
  Extents extents{};
  for (int i = 0; i < num_dims; ++i) extents[static_cast<size_t>(i)] = static_cast<hsize_t>(tensor.shape[static_cast<size_t>(i)]);
  const hdf5::Handle space(H5Screate_simple(num_dims, extents.data(), nullptr));
  const hdf5::Handle creation(H5Pcreate(H5P_DATASET_CREATE)), links(H5Pcreate(H5P_LINK_CREATE));
  const float missing = std::numeric_limits<float>::quiet_NaN();
  if (H5Pset_fill_value(creation.id(), H5T_NATIVE_FLOAT, &missing) < 0 || H5Pset_obj_track_times(creation.id(), false) < 0 ||
      H5Pset_create_intermediate_group(links.id(), 1) < 0) {
    return hdf5::LastError(StrCat("cannot set up ", name));
  }
  for (const Box& box : tensor.boxes) WEFT_RETURN_IF_ERROR(MapBox(creation, space, box, num_dims));
  H5Sselect_all(space.id());
  const hdf5::Handle dataset(
      H5Dcreate2(file.id(), name.c_str(), H5T_IEEE_F32LE, space.id(), links.id(), creation.id(), H5P_DEFAULT));
  return dataset.valid() ? absl::OkStatus() : hdf5::LastError(StrCat("cannot create ", name));
}

Status WriteInfo(const hdf5::Handle& file, const CheckpointInfo& info) {
  WEFT_ASSIGN_OR_RETURN(const hdf5::Handle group, hdf5::CreateGroup(file, "info"));
  WEFT_RETURN_IF_ERROR(hdf5::WriteNumber(group, "step", info.step));
  WEFT_RETURN_IF_ERROR(hdf5::WriteNumber(group, "samples", info.samples));
  for (const Text& text : kTexts) WEFT_RETURN_IF_ERROR(hdf5::WriteText(group, text.name, info.*text.field));
  for (const Text& text : kOptionalTexts) {
    WEFT_RETURN_IF_ERROR(hdf5::WriteOptionalText(group, text.name, info.*text.field));
  }
  return absl::OkStatus();
}

StatusOr<CheckpointInfo> ReadInfo(const hdf5::Handle& file) {
  CheckpointInfo info;
  WEFT_ASSIGN_OR_RETURN(const hdf5::Handle group, hdf5::OpenGroup(file, "info"));
  WEFT_ASSIGN_OR_RETURN(info.step, hdf5::ReadNumber(group, "step"));
  WEFT_ASSIGN_OR_RETURN(info.samples, hdf5::ReadNumber(group, "samples"));
  for (const Text& text : kTexts) {
    WEFT_ASSIGN_OR_RETURN(info.*text.field, hdf5::ReadText(group, text.name));
  }
  for (const Text& text : kOptionalTexts) {
    WEFT_ASSIGN_OR_RETURN(info.*text.field, hdf5::ReadOptionalText(group, text.name));
  }
  return info;
}

Status WriteContents(const hdf5::Handle& file, const CheckpointInfo& info, const CheckpointIndex& index) {
  WEFT_RETURN_IF_ERROR(hdf5::WriteNumber(file, "format", kFormat));
  WEFT_RETURN_IF_ERROR(WriteInfo(file, info));
  WEFT_RETURN_IF_ERROR(hdf5::WriteText(file, "index", index.ToJson()));
  for (const auto& [name, tensor] : index.tensors) WEFT_RETURN_IF_ERROR(WriteVirtualTensor(file, name, tensor));
  return absl::OkStatus();
}

StatusOr<IndexFile> ReadContents(const hdf5::Handle& file) {
  WEFT_ASSIGN_OR_RETURN(const int64_t format, hdf5::ReadNumber(file, "format"));
  if (format != kFormat) return UserError("a checkpoint of format ", format, "; this weft reads format ", kFormat);
  IndexFile contents;
  WEFT_ASSIGN_OR_RETURN(contents.info, ReadInfo(file));
  WEFT_ASSIGN_OR_RETURN(const std::string text, hdf5::ReadText(file, "index"));
  WEFT_ASSIGN_OR_RETURN(contents.index, CheckpointIndex::FromJson(text));
  WEFT_RETURN_IF_ERROR(contents.index.SortAndCheckTiling());
  return contents;
}

}  // namespace

Status WriteIndexFile(const std::string& path, const CheckpointInfo& info, const CheckpointIndex& index) {
  const hdf5::Quiet quiet;
  WEFT_ASSIGN_OR_RETURN(hdf5::Handle file, hdf5::CreateFile(path, 0));
  WEFT_RETURN_IF_ERROR(WithContext(WriteContents(file, info, index), path));
  return WithContext(file.Close(), path);
}

StatusOr<IndexFile> ReadIndexFile(const std::string& path) {
  const hdf5::Quiet quiet;
  StatusOr<hdf5::Handle> file = hdf5::OpenFile(path);
  if (!file.ok()) return WithContext(file.status(), path);
  StatusOr<IndexFile> contents = ReadContents(*file);
  if (!contents.ok()) return WithContext(contents.status(), path);
  return contents;
}

}  // namespace weft
