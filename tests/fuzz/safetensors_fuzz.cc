// Fuzzes the reading of safetensors files; what was accepted is read to the last byte.
#include <cstdint>

#include "checkpoint/safetensors.h"
#include "core/check.h"
#include "tests/fuzz/mutate.h"

namespace weft {
namespace {

bool FuzzOne(const std::string& input) {
  const StatusOr<SafetensorsFile> file = SafetensorsFile::Open(kLastInput);
  if (!file.ok()) return false;
  uint64_t num_bytes = 0, sum = 0;
  for (const SafetensorsEntry& entry : file->entries()) {
    num_bytes += file->Data(entry).size();
    for (const char byte : file->Data(entry)) sum += static_cast<unsigned char>(byte);
  }
  WEFT_CHECK_LE(num_bytes, input.size());
  WEFT_CHECK_LE(sum, 255 * num_bytes);
  return true;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) { return weft::FuzzMain(argc, argv, weft::FuzzOne); }
