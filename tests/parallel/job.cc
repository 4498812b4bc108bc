// main() of the tests of parallel/: starts MPI where there is a launcher (see job.h).
#include "tests/parallel/job.h"

#include <gtest/gtest.h>

#include "core/log.h"

namespace weft {
namespace {

MpiSession* session = nullptr;
Communicator* world = nullptr;

}  // namespace

const MpiSession& Job() { return *session; }
Communicator& JobWorld() { return *world; }

int RunTests() {
  MpiSession mpi;
  const std::unique_ptr<Communicator> all = mpi.World(4096);
  mpi.HasStarted();
  session = &mpi;
  world = all.get();
  SetCurrentRank({world->rank(), StrCat("rank ", world->rank())});
  return RUN_ALL_TESTS();
}

}  // namespace weft

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return weft::RunTests();
}
