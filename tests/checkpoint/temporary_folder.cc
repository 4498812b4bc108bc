// Temporary folders (see temporary_folder.h).
#include "tests/checkpoint/temporary_folder.h"

#include <stdlib.h>

#include <filesystem>
#include <system_error>

#include "core/check.h"

namespace weft {

TemporaryFolder::TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "weft-XXXXXX").string()) {
  WEFT_CHECK(::mkdtemp(path_.data()) != nullptr) << path_;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace weft
