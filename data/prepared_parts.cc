// Writing, finding and reading parts (see prepared_parts.h).
#include "data/prepared_parts.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/check.h"
#include "core/config_reader.h"
#include "core/config_writer.h"
#include "core/file.h"

namespace weft {
namespace {

constexpr int kDigits = 6;  // of a part's number, at least
constexpr size_t kFlushBytes = size_t{4} << 20;

Status SystemError(std::string_view what, const std::string& path) {
  return absl::UnavailableError(StrCat(what, " ", path, ": ", std::strerror(errno)));
}

template <typename T>
void AppendBytes(const T* values, size_t count, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

// Takes `count` values from the front of `bytes`; false where there are fewer.
template <typename T>
bool TakeBytes(std::string_view* bytes, size_t count, T* values) {
  if (count > bytes->size() / sizeof(T)) return false;
  std::memcpy(values, bytes->data(), count * sizeof(T));
  bytes->remove_prefix(count * sizeof(T));
  return true;
}

bool TakeSample(std::string_view* bytes, EncodedSample* sample) {
  int32_t size = 0;
  if (!TakeBytes(bytes, 1, &size) || size < 0 || !TakeBytes(bytes, 1, &sample->hash)) return false;
  if (static_cast<size_t>(size) > bytes->size()) return false;  // before memory is asked for
  sample->tokens.resize(static_cast<size_t>(size));
  sample->loss_mask.resize(static_cast<size_t>(size));
  return TakeBytes(bytes, sample->tokens.size(), sample->tokens.data()) &&
         TakeBytes(bytes, sample->loss_mask.size(), sample->loss_mask.data());
}

}  // namespace

void PrepareCounts::VisitFields(FieldVisitor& v) {
  v.Field("documents", documents, "documents in the part");
  v.Field("tokens", tokens, "their tokens");
  v.Field("empty", empty, "left out: without a token");
  v.Field("too_long", too_long, "left out: too long");
  v.Field("without_loss", without_loss, "left out: no token in the loss");
  v.Field("dropped_rows", dropped_rows, "left out: by the table");
  v.Field("undecided_pairs", undecided_pairs, "left out: preference pairs that prefer nothing");
  v.Field("turns", turns, "turns of an assistant");
  v.Field("open_turns", open_turns, "of them without a token that ends them");
  v.Field("unsaid", unsaid, "messages of which the chat template writes nothing");
}

void PrepareCounts::Add(const PrepareCounts& other) {
  documents += other.documents;
  tokens += other.tokens;
  empty += other.empty;
  too_long += other.too_long;
  without_loss += other.without_loss;
  dropped_rows += other.dropped_rows;
  undecided_pairs += other.undecided_pairs;
  turns += other.turns;
  open_turns += other.open_turns;
  unsaid += other.unsaid;
}

void PartRecord::VisitFields(FieldVisitor& v) {
  v.Field("encoding", encoding, "digest of tokenizer, template and options");
  v.Field("time", time, "that templates were told, in seconds since 1970");
  v.Field("documents_read", documents_read, "input documents");
  v.Field("documents", documents, "digest of them");
  v.Field("sha256", sha256, "of the .part file");
  v.Section("counts", counts, "what became of them");
}

// --- The folder ------------------------------------------------------------------------------------------------------

StatusOr<std::unique_ptr<PreparedParts>> PreparedParts::Open(const std::string& folder) {
  WEFT_RETURN_IF_ERROR(MakeFolders(folder));
  const int lock = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock < 0) return SystemError("cannot open", folder);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {  // file systems without locks go without
    ::close(lock);
    return UserError(folder, ": another `weft data prepare` works on the same store; wait for it, or name another with --to");
  }
  std::unique_ptr<PreparedParts> parts(new PreparedParts(folder));
  parts->lock_ = lock;
  return parts;
}

PreparedParts::~PreparedParts() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!Find(0).has_value()) Remove().IgnoreError();
  ::close(lock_);
}

std::string PreparedParts::PathOf(int64_t part, std::string_view ending) const {
  return StrCat(folder_, "/", absl::StrFormat("%0*d", kDigits, part), ending);
}

std::optional<PartRecord> PreparedParts::Find(int64_t part) const {
  std::error_code ignored;
  const std::string path = PathOf(part, ".yaml");
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  PartRecord record;
  if (!ReadConfig({.path = path}, record).ok()) return std::nullopt;
  return record;
}

Status PreparedParts::Begin(int64_t part) {
  for (int64_t later = part; ::unlink(PathOf(later, ".yaml").c_str()) == 0; ++later) {
    ::unlink(PathOf(later, ".part").c_str());
  }
  WEFT_CHECK_EQ(descriptor_, -1);
  const std::string path = PathOf(part, ".part");
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) return SystemError("cannot create", path);
  part_ = part;
  digest_ = Sha256();
  return absl::OkStatus();
}

Status PreparedParts::Add(const EncodedSample& sample) {
  WEFT_CHECK_LE(sample.tokens.size(), static_cast<size_t>(kMaxSampleTokens));
  const auto size = static_cast<int32_t>(sample.tokens.size());
  AppendBytes(&size, 1, &waiting_);
  AppendBytes(&sample.hash, 1, &waiting_);
  AppendBytes(sample.tokens.data(), sample.tokens.size(), &waiting_);
  AppendBytes(sample.loss_mask.data(), sample.loss_mask.size(), &waiting_);
  return waiting_.size() < kFlushBytes ? absl::OkStatus() : Flush();
}

Status PreparedParts::Flush() {
  digest_.Add(waiting_);
  for (size_t done = 0; done < waiting_.size();) {
    const ssize_t written = ::write(descriptor_, waiting_.data() + done, waiting_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("cannot write", PathOf(part_, ".part"));
    done += static_cast<size_t>(written);
  }
  waiting_.clear();
  return absl::OkStatus();
}

Status PreparedParts::Finish(PartRecord* record) {
  WEFT_RETURN_IF_ERROR(Flush());
  ::close(std::exchange(descriptor_, -1));  // not flushed to disk: what a power cut takes, IsWhole finds
  record->sha256 = digest_.Hex();
  return WriteFileAtomically(PathOf(part_, ".yaml"), WriteConfig(*record));
}

bool PreparedParts::IsWhole(int64_t part, const PartRecord& record) const {
  const StatusOr<MappedFile> file = MappedFile::Open(PathOf(part, ".part"));
  return file.ok() && Sha256::Of(file->bytes()) == record.sha256;
}

Status PreparedParts::Read(int64_t part, const PartRecord& record,
                           absl::FunctionRef<Status(const EncodedSample&)> take) const {
  const std::string path = PathOf(part, ".part");
  WEFT_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  bool is_whole = Sha256::Of(file.bytes()) == record.sha256;
  EncodedSample sample;
  for (std::string_view rest = file.bytes(); is_whole && !rest.empty();) {
    is_whole = TakeSample(&rest, &sample);
    if (is_whole) WEFT_RETURN_IF_ERROR(take(sample));
  }
  if (is_whole) return absl::OkStatus();
  return DataError(path, " was changed while it was needed; start again");
}

Status PreparedParts::Remove() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const bool is_numbered = entry.path().filename().string().find_first_not_of("0123456789") >= size_t{kDigits};
    if (is_numbered) ::unlink(entry.path().c_str());
  }
  if (::rmdir(folder_.c_str()) != 0) return SystemError("cannot remove", folder_);  // there is a file that is not ours
  return absl::OkStatus();
}

}  // namespace weft
