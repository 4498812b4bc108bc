// weft_faulty_train FAULT KEY=VALUE...: trains configs/tiny.yaml as `weft train` does, but on rank 1 something goes
// wrong in the fifth reduction of gradients over the data-parallel ranks. For tests of the watchdog, under mpirun.
//
// FAULT: skip (leaves the reduction out), size (makes it with an element less; small_size: one of a norm), hang (stops computing before it), throw
// (an exception nobody catches), memory (may have no more memory, and takes what there is), none.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include "core/log.h"
#include "launch/job_watchdog.h"
#include "parallel/mpi_communicator.h"
#include "parallel/watched_communicator.h"
#include "tests/parallel/faulty_communicator.h"
#include "trainer/trainer.h"

namespace weft {
namespace {

// From now on the next allocation of this process fails, wherever it is made.
void UseUpMemory() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const struct rlimit limit = {.rlim_cur = static_cast<rlim_t>(usage.ru_maxrss) * 1024, .rlim_max = RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &limit);  // less than the address space it has already: nothing can be added
  for (size_t bytes = size_t{1} << 20; bytes >= 16; bytes /= 2) {
    while (std::malloc(bytes) != nullptr) {  // of what the heap still holds; kept on purpose
    }
  }
}

Fault MakeFault(const std::string& kind) {
  constexpr int kStrikes = 5, kSmall = 1000;
  Fault fault;
  fault.nth = kStrikes - 1;
  fault.effect = kind.ends_with("size") ? FaultEffect::kShorten : FaultEffect::kSkip;
  fault.where = [kind, count = std::make_shared<int>(0)](const FaultyCall& call) {
    if (kind == "none" || call.communicator.name() != "dp" || call.communicator.rank() != 1) return false;
    if (call.kind != CallKind::kAllReduce) return false;
    if (kind == "small_size" && call.num_elements > kSmall) return false;
    if (++*count == kStrikes && kind == "throw") throw std::bad_alloc();
    if (*count == kStrikes && kind == "memory") UseUpMemory();
    while (*count == kStrikes && kind == "hang") ::sleep(1);
    return kind == "skip" || kind.ends_with("size");
  };
  return fault;
}

Status Train(const ConfigSources& sources, MpiSession& mpi, Communicator& world) {
  RunConfig config;
  const StatusOr<ConfigReport> report = ReadRunConfig(sources, world.size(), config);
  WEFT_RETURN_IF_ERROR(report.status());
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<JobWatchdog> watchdog,
                        JobWatchdog::Start(config, world, CurrentRecord()));
  mpi.HasStarted();
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Trainer> trainer,
                        Trainer::Create(config, {.world = world, .device = Device::Cpu()}));
  return trainer->Run();
}

int Run(const std::string& fault, const ConfigSources& sources) {
  MpiSession mpi;
  RankRecord record;
  SetCurrentRecord(&record);
  const std::unique_ptr<Communicator> watched = WatchCommunicator(mpi.World(), record);
  SetCurrentRank({watched->rank(), StrCat("rank ", watched->rank())});
  FaultyCommunicator world(*watched, {MakeFault(fault)});
  const Status status = Train(sources, mpi, world);
  if (!status.ok()) LogError(status.message());
  return ExitCode(status);
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  weft::ConfigSources sources = {.path = "configs/tiny.yaml", .overrides = {argv + 2, argv + argc}};
  return weft::Run(argv[1], sources);
}
