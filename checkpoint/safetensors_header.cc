// A SAX handler for the one grammar of safetensors headers, and the checks of offsets (see safetensors_header.h).
#include "checkpoint/safetensors_header.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace weft {
namespace {

// Receives the events of nlohmann's parser; false stops it, and error() says why.
class HeaderHandler {
 public:
  using Json = nlohmann::json;

  SafetensorsHeader Take() { return std::move(header_); }
  const std::string& error() const { return error_; }

  bool key(std::string& key) {
    if (place_ == Place::kHeader) {
      if (!names_.insert(key).second) return Refuse("\"", key, "\" comes twice");
      name_ = key;
    } else if (place_ == Place::kMetadata) {
      if (header_.metadata.contains(key)) return Refuse("__metadata__: \"", key, "\" comes twice");
    } else {
      if (!fields_.insert(key).second) return Refuse(name_, ": \"", key, "\" comes twice");
    }
    key_ = key;
    return true;
  }

  bool start_object(size_t) {
    if (place_ == Place::kStart) return Go(Place::kHeader);
    if (place_ != Place::kHeader) return Refuse(name_, ": an object in an unexpected place");
    if (name_ == "__metadata__") return Go(Place::kMetadata);
    header_.entries.push_back({.name = name_});
    offsets_.clear();
    fields_.clear();
    return Go(Place::kTensor);
  }

  bool end_object() {
    if (place_ == Place::kHeader) return Go(Place::kEnd);
    if (place_ == Place::kTensor && (fields_.size() != 3 || offsets_.size() != 2)) {
      return Refuse(name_, ": expected \"dtype\", \"shape\" and two \"data_offsets\"");
    }
    if (place_ == Place::kTensor) std::tie(header_.entries.back().begin, header_.entries.back().end) = std::pair(offsets_[0], offsets_[1]);
    return Go(Place::kHeader);
  }

  bool start_array(size_t) {
    if (place_ == Place::kTensor && key_ == "shape") return Go(Place::kShape);
    if (place_ == Place::kTensor && key_ == "data_offsets") return Go(Place::kOffsets);
    return Refuse(name_, ": a list in an unexpected place");
  }
  bool end_array() { return Go(Place::kTensor); }

  bool number_unsigned(uint64_t value) {
    if (place_ == Place::kShape) {
      header_.entries.back().shape.push_back(value);
    } else if (place_ == Place::kOffsets && offsets_.size() < 2) {
      offsets_.push_back(value);
    } else {
      return Refuse(name_, ": a number in an unexpected place");
    }
    return true;
  }

  bool string(std::string& text) {
    if (place_ == Place::kMetadata) {
      header_.metadata[key_] = text;
    } else if (place_ == Place::kTensor && key_ == "dtype") {
      header_.entries.back().dtype = text;
    } else {
      return Refuse(name_, ": a text in an unexpected place");
    }
    return true;
  }

  bool number_integer(int64_t) { return Refuse(name_, ": a negative number"); }
  bool number_float(double, const std::string& text) { return Refuse(name_, ": the number ", text, " is no size"); }
  bool null() {
    if (place_ == Place::kHeader && name_ == "__metadata__") return true;  // an Option to the reference implementation
    return Refuse(name_, ": null in an unexpected place");
  }
  bool boolean(bool) { return Refuse(name_, ": a boolean in an unexpected place"); }
  bool binary(Json::binary_t&) { return Refuse(name_, ": binary data"); }
  bool parse_error(size_t, const std::string&, const Json::exception& error) { return Refuse(error.what()); }

 private:
  enum class Place { kStart, kHeader, kMetadata, kTensor, kShape, kOffsets, kEnd };
  bool Go(Place place) {
    place_ = place;
    return true;
  }
  template <typename... Parts>
  bool Refuse(const Parts&... parts) {
    error_ = StrCat(parts...);
    return false;
  }

  SafetensorsHeader header_;
  Place place_ = Place::kStart;
  std::string name_;  // of the tensor
  std::string key_;
  std::set<std::string> names_, fields_;
  std::vector<uint64_t> offsets_;
  std::string error_;
};

struct DTypeBits {
  std::string_view name;
  uint64_t bits;
};
constexpr std::array<DTypeBits, 22> kDTypeBits = {
    {{"BOOL", 8},    {"F4", 4},       {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
     {"F8_E5M2", 8}, {"F8_E4M3", 8},  {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
     {"U16", 16},    {"F16", 16},     {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
     {"C64", 64},    {"F64", 64},     {"I64", 64},    {"U64", 64}}};

std::optional<uint64_t> BitsOf(std::string_view dtype) {
  for (const DTypeBits& row : kDTypeBits) {
    if (row.name == dtype) return row.bits;
  }
  return std::nullopt;
}

// The bytes that an entry's dtype and shape need.
StatusOr<uint64_t> NumBytes(const SafetensorsEntry& entry) {
  const std::optional<uint64_t> bits = BitsOf(entry.dtype);
  if (!bits) return DataError(entry.name, ": unknown dtype \"", entry.dtype, "\"");
  uint64_t product = 1;
  bool overflow = false;
  for (uint64_t extent : entry.shape) overflow |= __builtin_mul_overflow(product, extent, &product);
  overflow |= __builtin_mul_overflow(product, *bits, &product);
  if (overflow) return DataError(entry.name, ": its shape holds more than can be counted");
  if (product % 8 != 0) return DataError(entry.name, ": its elements do not fill whole bytes");
  return product / 8;
}

}  // namespace

StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json) {
  if (json.starts_with("\xEF\xBB\xBF")) return DataError("the header begins with a byte order mark");
  HeaderHandler handler;
  if (!nlohmann::json::sax_parse(json, &handler)) return DataError("the header is not valid: ", handler.error());
  return handler.Take();
}

Status CheckSafetensorsEntries(std::vector<SafetensorsEntry>* entries, uint64_t data_bytes) {
  std::sort(entries->begin(), entries->end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t end = 0;
  for (const SafetensorsEntry& entry : *entries) {
    if (entry.begin != end || entry.end < entry.begin) {
      return DataError(entry.name, ": its data are at ", entry.begin, " to ", entry.end, ", expected to begin at ", end,
                       " (holes and overlaps are not allowed)");
    }
    WEFT_ASSIGN_OR_RETURN(const uint64_t needed, NumBytes(entry));
    if (entry.end - entry.begin != needed) {
      return DataError(entry.name, ": has ", entry.end - entry.begin, " bytes of data where dtype and shape need ", needed);
    }
    end = entry.end;
  }
  if (end == data_bytes) return absl::OkStatus();
  return DataError("the header describes ", end, " bytes of data, the file holds ", data_bytes,
                   end > data_bytes ? ": it was truncated" : ": something was appended");
}

}  // namespace weft
