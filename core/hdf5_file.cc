// Calls of the HDF5 C library (1.10 and later).
#include "core/hdf5_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/check.h"
#include "core/hdf5_probe.h"

namespace weft::hdf5 {
namespace {

constexpr size_t kChunkCacheBytes = size_t{16} << 20;
constexpr size_t kChunkCacheSlots = 4099;  // a prime, some times the chunks that fit
constexpr size_t kMaxTextBytes = size_t{1} << 30;

// HDF5 closes at exit what is still open; after a write that failed (a full disk) it crashes there. Handles close all that
// is worth closing.
const herr_t kNoExitHandler = H5dont_atexit();

// The system's error number, which HDF5 puts into its words ("..., errno = 28, ..."); 0 where there is none.
int SystemErrorIn(const std::string& message) {
  constexpr std::string_view kMark = "errno = ";
  const size_t at = message.find(kMark);
  return at == std::string::npos ? 0 : std::atoi(message.c_str() + at + kMark.size());
}

herr_t KeepMessage(unsigned, const H5E_error2_t* error, void* message) {
  if (error->desc != nullptr) *static_cast<std::string*>(message) = error->desc;
  return 0;
}

// Whether values of the file's integer type fit the memory type: HDF5 would clip them silently.
bool Fits(hid_t file_type, hid_t memory_type) {
  if (H5Tget_class(file_type) != H5T_INTEGER) return false;
  const size_t file_size = H5Tget_size(file_type), memory_size = H5Tget_size(memory_type);
  const bool file_signed = H5Tget_sign(file_type) != H5T_SGN_NONE;
  const bool memory_signed = H5Tget_sign(memory_type) != H5T_SGN_NONE;
  return file_signed == memory_signed ? file_size <= memory_size : !file_signed && file_size < memory_size;
}

// What `object`'s file can hold at most, in bytes: whoever makes room for more has been told so by a hostile file.
hsize_t MostBytesIn(hid_t object, bool deflated) {
  constexpr hsize_t kMostDeflation = 1032;  // zlib's bound
  const Handle file(H5Iget_file_id(object));
  hsize_t bytes = 0;
  if (!file.valid() || H5Fget_filesize(file.id(), &bytes) < 0) return 0;
  return deflated ? bytes * kMostDeflation : bytes;
}

bool IsDeflated(hid_t dataset) {
  const Handle creation(H5Dget_create_plist(dataset));
  unsigned flags = 0;
  size_t num_values = 0;
  return creation.valid() && H5Pget_filter_by_id2(creation.id(), H5Z_FILTER_DEFLATE, &flags, &num_values, nullptr, 0, nullptr, nullptr) >= 0;
}

StatusOr<Handle> Opened(hid_t id, std::string_view what) {
  if (id < 0) return LastError(what);
  return Handle(id);
}

}  // namespace

Status Handle::Close() {
  if (id_ < 0) return absl::OkStatus();
  Quiet quiet;
  const hid_t id = std::exchange(id_, H5I_INVALID_HID);
  herr_t result = 0;
  switch (H5Iget_type(id)) {
    case H5I_FILE: result = H5Fclose(id); break;
    case H5I_GROUP: result = H5Gclose(id); break;
    case H5I_DATASET: result = H5Dclose(id); break;
    case H5I_DATASPACE: result = H5Sclose(id); break;
    case H5I_DATATYPE: result = H5Tclose(id); break;
    case H5I_ATTR: result = H5Aclose(id); break;
    case H5I_GENPROP_LST: result = H5Pclose(id); break;
    default: break;
  }
  return result < 0 ? LastError("cannot close") : absl::OkStatus();
}

Quiet::Quiet() {
  H5Eget_auto2(H5E_DEFAULT, &printer_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}
Quiet::~Quiet() { H5Eset_auto2(H5E_DEFAULT, printer_, data_); }

Status LastError(std::string_view what) {
  std::string message = "no reason given";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, KeepMessage, &message);
  const int error = SystemErrorIn(message);
  if (error == 0) return DataError(what, ": HDF5 says: ", message);
  const std::string reason = StrCat(what, ": ", std::strerror(error));
  const bool is_the_disks = error == ENOSPC || error == EDQUOT || error == EFBIG || error == EIO;
  return is_the_disks ? absl::UnavailableError(reason) : DataError(reason);
}

StatusOr<Handle> CreateFile(const std::string& path, int64_t user_block_bytes) {
  Quiet quiet;
  const Handle creation(H5Pcreate(H5P_FILE_CREATE)), access(H5Pcreate(H5P_FILE_ACCESS));
  // No times in it: the same input gives the same file.
  if (H5Pset_userblock(creation.id(), static_cast<hsize_t>(user_block_bytes)) < 0 ||
      H5Pset_obj_track_times(creation.id(), false) < 0 ||
      H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110) < 0) {
    return LastError("cannot set up the file");
  }
  return Opened(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), StrCat("cannot create ", path));
}

StatusOr<Handle> OpenFile(const std::string& path) {
  WEFT_RETURN_IF_ERROR(Probe(path));
  Quiet quiet;
  return Opened(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), "cannot open");
}

StatusOr<Vector> Vector::Create(const Handle& parent, const char* name, const Options& options) {
  Quiet quiet;
  const hsize_t none = 0, unlimited = H5S_UNLIMITED, chunk = static_cast<hsize_t>(options.chunk);
  const Handle space(H5Screate_simple(1, &none, &unlimited)), creation(H5Pcreate(H5P_DATASET_CREATE));
  if (H5Pset_chunk(creation.id(), 1, &chunk) < 0 || H5Pset_obj_track_times(creation.id(), false) < 0 ||
      (options.deflate && H5Pset_deflate(creation.id(), 4) < 0) || H5Pset_fletcher32(creation.id()) < 0) {
    return LastError(StrCat("cannot set up /", name));
  }
  Vector vector;
  vector.name_ = name;
  WEFT_ASSIGN_OR_RETURN(vector.dataset_, Opened(H5Dcreate2(parent.id(), name, options.file_type, space.id(), H5P_DEFAULT,
                                                           creation.id(), H5P_DEFAULT),
                                                StrCat("cannot create /", name)));
  return vector;
}

StatusOr<Vector> Vector::OpenAs(const Handle& parent, const char* name, hid_t memory_type) {
  Quiet quiet;
  const Handle access(H5Pcreate(H5P_DATASET_ACCESS));
  H5Pset_chunk_cache(access.id(), kChunkCacheSlots, kChunkCacheBytes, H5D_CHUNK_CACHE_W0_DEFAULT);
  Vector vector;
  vector.name_ = name;
  WEFT_ASSIGN_OR_RETURN(vector.dataset_, Opened(H5Dopen2(parent.id(), name, access.id()), StrCat("cannot open /", name)));
  const Handle type(H5Dget_type(vector.dataset_.id())), space(H5Dget_space(vector.dataset_.id()));
  hsize_t size = 0;
  if (!type.valid() || !Fits(type.id(), memory_type) || H5Sget_simple_extent_ndims(space.id()) != 1 ||
      H5Sget_simple_extent_dims(space.id(), &size, nullptr) != 1 || size > hsize_t{1} << 60) {
    return DataError("/", name, " is not a list of integers of the expected type");
  }
  if (size * H5Tget_size(type.id()) > MostBytesIn(vector.dataset_.id(), IsDeflated(vector.dataset_.id()))) {
    return DataError("/", name, " claims ", size, " elements, more than the file can hold");
  }
  vector.size_ = static_cast<int64_t>(size);
  return vector;
}

Status Vector::AppendAs(hid_t memory_type, const void* values, int64_t count) {
  if (count == 0) return absl::OkStatus();
  Quiet quiet;
  const hsize_t begin = static_cast<hsize_t>(size_), length = static_cast<hsize_t>(count), end = begin + length;
  if (H5Dset_extent(dataset_.id(), &end) < 0) return LastError(StrCat("cannot grow /", name_));
  const Handle space(H5Dget_space(dataset_.id())), memory(H5Screate_simple(1, &length, nullptr));
  if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, &begin, nullptr, &length, nullptr) < 0 ||
      H5Dwrite(dataset_.id(), memory_type, memory.id(), space.id(), H5P_DEFAULT, values) < 0) {
    return LastError(StrCat("cannot write /", name_));
  }
  size_ += count;
  return absl::OkStatus();
}

Status Vector::ReadAs(hid_t memory_type, int64_t begin, int64_t count, void* values) const {
  WEFT_CHECK(begin >= 0 && count >= 0 && begin <= size_ - count) << begin << "+" << count << " of " << size_;
  if (count == 0) return absl::OkStatus();
  Quiet quiet;
  const hsize_t start = static_cast<hsize_t>(begin), length = static_cast<hsize_t>(count);
  const Handle space(H5Dget_space(dataset_.id())), memory(H5Screate_simple(1, &length, nullptr));
  if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, &start, nullptr, &length, nullptr) < 0 ||
      H5Dread(dataset_.id(), memory_type, memory.id(), space.id(), H5P_DEFAULT, values) < 0) {
    return LastError(StrCat("cannot read /", name_, " at ", begin));
  }
  return absl::OkStatus();
}

StatusOr<Handle> CreateGroup(const Handle& parent, const char* name) {
  Quiet quiet;
  const Handle creation(H5Pcreate(H5P_GROUP_CREATE));
  H5Pset_obj_track_times(creation.id(), false);
  return Opened(H5Gcreate2(parent.id(), name, H5P_DEFAULT, creation.id(), H5P_DEFAULT), StrCat("cannot create /", name));
}

StatusOr<Handle> OpenGroup(const Handle& parent, const char* name) {
  Quiet quiet;
  return Opened(H5Gopen2(parent.id(), name, H5P_DEFAULT), StrCat("cannot open /", name));
}

Status WriteText(const Handle& parent, const char* name, const std::string& text) {
  Quiet quiet;
  const Handle type(H5Tcopy(H5T_C_S1)), space(H5Screate(H5S_SCALAR)), creation(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_obj_track_times(creation.id(), false);
  // One byte more than the text: HDF5 has no empty strings.
  if (H5Tset_size(type.id(), text.size() + 1) < 0 || H5Tset_cset(type.id(), H5T_CSET_UTF8) < 0) {
    return LastError(StrCat("cannot set up /", name));
  }
  const Handle dataset(
      H5Dcreate2(parent.id(), name, type.id(), space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT));
  if (!dataset.valid() || H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.c_str()) < 0) {
    return LastError(StrCat("cannot write /", name));
  }
  return absl::OkStatus();
}

StatusOr<std::string> ReadText(const Handle& parent, const char* name) {
  Quiet quiet;
  const Handle dataset(H5Dopen2(parent.id(), name, H5P_DEFAULT));
  if (!dataset.valid()) return LastError(StrCat("cannot open /", name));
  const Handle type(H5Dget_type(dataset.id())), space(H5Dget_space(dataset.id()));
  if (!type.valid() || H5Tget_class(type.id()) != H5T_STRING || H5Tis_variable_str(type.id()) != 0 ||
      H5Sget_simple_extent_type(space.id()) != H5S_SCALAR || H5Tget_size(type.id()) > kMaxTextBytes) {
    return DataError("/", name, " is not a text");
  }
  if (H5Tget_size(type.id()) > MostBytesIn(dataset.id(), false)) return DataError("/", name, " claims more than the file can hold");
  std::string text(H5Tget_size(type.id()), '\0');
  if (H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()) < 0) {
    return LastError(StrCat("cannot read /", name));
  }
  text.resize(text.find_last_not_of('\0') + 1);
  return text;
}

Status WriteOptionalText(const Handle& parent, const char* name, const std::string& text) {
  return text.empty() ? absl::OkStatus() : WriteText(parent, name, text);
}

StatusOr<std::string> ReadOptionalText(const Handle& parent, const char* name) {
  Quiet quiet;
  const htri_t exists = H5Lexists(parent.id(), name, H5P_DEFAULT);
  if (exists < 0) return LastError(StrCat("cannot look for /", name));
  return exists > 0 ? ReadText(parent, name) : std::string();
}

Status WriteNumber(const Handle& object, const char* attribute, int64_t value) {
  Quiet quiet;
  const Handle space(H5Screate(H5S_SCALAR));
  const Handle number(H5Acreate2(object.id(), attribute, H5T_STD_I64LE, space.id(), H5P_DEFAULT, H5P_DEFAULT));
  if (!number.valid() || H5Awrite(number.id(), H5T_NATIVE_INT64, &value) < 0) {
    return LastError(StrCat("cannot write the attribute ", attribute));
  }
  return absl::OkStatus();
}

StatusOr<int64_t> ReadNumber(const Handle& object, const char* attribute) {
  Quiet quiet;
  const Handle number(H5Aopen(object.id(), attribute, H5P_DEFAULT));
  if (!number.valid()) return LastError(StrCat("cannot open the attribute ", attribute));
  const Handle type(H5Aget_type(number.id())), space(H5Aget_space(number.id()));
  int64_t value = 0;
  if (!Fits(type.id(), H5T_NATIVE_INT64) || H5Sget_simple_extent_npoints(space.id()) != 1 ||
      H5Aread(number.id(), H5T_NATIVE_INT64, &value) < 0) {
    return DataError("the attribute ", attribute, " is not a number");
  }
  return value;
}

}  // namespace weft::hdf5
