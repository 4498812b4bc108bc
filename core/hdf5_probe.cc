// Parent and child of hdf5_probe.h.
#include "core/hdf5_probe.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "core/hdf5_file.h"

namespace weft::hdf5 {
namespace {

constexpr char kVariable[] = "WEFT_PROBE_HDF5";  // the path
constexpr std::chrono::seconds kMostTime{60};    // thousands of groups on a slow network disk; good files take milliseconds

// --- The child -------------------------------------------------------------------------------------------------------

void ReadElement(hid_t dataset, hid_t space, hsize_t at) {
  const hsize_t one = 1;
  int64_t value = 0;
  const Handle memory(H5Screate_simple(1, &one, nullptr));
  H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, nullptr, &one, nullptr);
  H5Dread(dataset, H5T_NATIVE_INT64, memory.id(), space, H5P_DEFAULT, &value);
}

// Errors of libhdf5 are no matter here: the reader meets them again and has the words for them.
void TouchDataset(hid_t id) {
  const Handle creation(H5Dget_create_plist(id)), type(H5Dget_type(id)), space(H5Dget_space(id));
  if (H5Pget_layout(creation.id()) == H5D_VIRTUAL) return;
  H5Dget_offset(id);
  hsize_t extent = 0;
  if (H5Tget_class(type.id()) == H5T_INTEGER && H5Sget_simple_extent_ndims(space.id()) == 1 &&
      H5Sget_simple_extent_dims(space.id(), &extent, nullptr) == 1 && extent > 0) {
    ReadElement(id, space.id(), 0);
    ReadElement(id, space.id(), extent - 1);
  } else if (H5Tget_class(type.id()) == H5T_STRING && H5Sget_simple_extent_type(space.id()) == H5S_SCALAR &&
             H5Tis_variable_str(type.id()) == 0) {
    std::vector<char> text(H5Tget_size(type.id()));
    H5Dread(id, type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data());
  }
}

herr_t TouchAttribute(hid_t object, const char* name, const H5A_info_t*, void*) {
  const Handle attribute(H5Aopen(object, name, H5P_DEFAULT));
  const Handle type(H5Aget_type(attribute.id())), space(H5Aget_space(attribute.id()));
  int64_t value = 0;
  if (H5Tget_class(type.id()) == H5T_INTEGER && H5Sget_simple_extent_npoints(space.id()) == 1) {
    H5Aread(attribute.id(), H5T_NATIVE_INT64, &value);
  }
  return 0;
}

herr_t TouchObject(hid_t file, const char* name, const H5O_info_t* info, void*) {
  const Handle object(H5Oopen(file, name, H5P_DEFAULT));
  if (!object.valid()) return 0;
  H5Aiterate2(object.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, TouchAttribute, nullptr);
  if (info->type == H5O_TYPE_DATASET) TouchDataset(object.id());
  return 0;
}

void Limit(int resource, rlim_t value) {
  const struct rlimit limit = {value, value};
  setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}

// What the process has already: libraries take memory as they are loaded.
rlim_t DataBytes() {
  std::ifstream statm("/proc/self/statm");
  rlim_t pages[6] = {};  // the last: data and stack
  for (rlim_t& number : pages) statm >> number;
  return pages[5] * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

// Ends the process, if it was started as a probe. 0: it has lived to the end; sanitizers report a crash as an exit, too.
bool EndIfProbe() {
  const char* const path = std::getenv(kVariable);
  if (path == nullptr) return false;
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_CPU, static_cast<rlim_t>(kMostTime.count()));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their shadow memory alone is more
  Limit(RLIMIT_DATA, DataBytes() + (rlim_t{2} << 30));
#endif
  const Quiet quiet;
  const Handle file(H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT));
  if (file.valid()) H5Ovisit(file.id(), H5_INDEX_NAME, H5_ITER_NATIVE, TouchObject, nullptr);
  H5close();  // as the reader closes what it opened
  _exit(0);
}

const bool kNoProbe = EndIfProbe();

// --- The parent ------------------------------------------------------------------------------------------------------

std::vector<std::string> EnvironmentFor(const std::string& path) {
  // OpenBLAS would start a thread a core as it is loaded, each of which takes memory: on a large host more than the child may.
  std::vector<std::string> variables = {StrCat(kVariable, "=", path), "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1"};
  for (char** variable = environ; *variable != nullptr; ++variable) variables.push_back(*variable);
  return variables;
}

StatusOr<pid_t> StartProbe(const std::string& path) {
  std::vector<std::string> variables = EnvironmentFor(path);
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  char name[] = "weft-probe";
  char* const arguments[] = {name, nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0);
  }
  // A request to stop that goes to all processes (Ctrl-C, a scheduler) is for the parent: a child that it ended would make a
  // sound file look damaged.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t held_back;
  sigemptyset(&held_back);
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2}) sigaddset(&held_back, signal);
  posix_spawnattr_setsigmask(&attributes, &held_back);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = -1;
  const int error = posix_spawn(&child, "/proc/self/exe", &actions, &attributes, arguments, environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return child;
  return absl::UnavailableError(StrCat("cannot start the process that looks at it first: ", std::strerror(error)));
}

}  // namespace

Status Probe(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const pid_t child, StartProbe(path));
  const auto deadline = std::chrono::steady_clock::now() + kMostTime;
  int status = 0;
  pid_t ended = 0;
  while ((ended = waitpid(child, &status, WNOHANG)) == 0 || (ended < 0 && errno == EINTR)) {
    if (std::chrono::steady_clock::now() > deadline) kill(child, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (ended < 0) return absl::UnavailableError(StrCat("lost the process that looks at it first: ", std::strerror(errno)));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  const bool too_slow = WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU);
  return DataError("the file is damaged, or made to do harm: libhdf5 ",
                   too_slow ? "does not come to an end with it" : "crashes on it",
                   WIFSIGNALED(status) ? StrCat(" (signal ", WTERMSIG(status), ", in a child process)") : " (in a child process)");
}

}  // namespace weft::hdf5
