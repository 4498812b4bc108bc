// Reads the golden files that tests/golden/make_golden.py wrote.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"

namespace weft {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& path) : file_(*SafetensorsFile::Open(path)) {}

  template <typename T>
  std::vector<T> Read(const std::string& name) const {
    for (const SafetensorsEntry& entry : file_.entries()) {
      if (entry.name != name) continue;
      const std::string_view bytes = file_.Data(entry);
      std::vector<T> values(bytes.size() / sizeof(T));
      std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
      return values;
    }
    ADD_FAILURE() << "no tensor " << name << " in " << file_.path();
    return {};
  }
  std::vector<float> Floats(const std::string& name) const { return Read<float>(name); }
  const SafetensorsFile& file() const { return file_; }

 private:
  SafetensorsFile file_;
};

// ||a - b|| / ||b||; infinite when the sizes differ.
inline double RelativeDistance(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / norm);
}

}  // namespace weft
