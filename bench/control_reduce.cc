// weft_control_reduce [REPEATS]: what the step's control reductions take when no rank is late, under mpirun.
//
// Times the two all-reduces over all ranks that a step makes for control, as it makes them (watched, on a CPU stream, over MPI):
// five i64 in Trainer::AgreeOnTokens, and the verdict, one i64, in Trainer::Judge. Back to back, so waiting for a rank that computes longer is not in it: that wait would only
// move to the next collective. Prints one number: microseconds of both, the median of blocks of 100, on rank 0.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "core/stream.h"
#include "parallel/mpi_communicator.h"
#include "parallel/watched_communicator.h"

namespace weft {
namespace {

constexpr int kBlock = 100;

double MedianMicroseconds(Communicator& world, int repeats) {
  using Clock = std::chrono::steady_clock;
  const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu());
  std::vector<double> blocks_us;
  for (int block = 0; block < std::max(1, repeats / kBlock); ++block) {
    world.Barrier();
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < kBlock; ++i) {
      int64_t counts[5] = {1, 0, 0, 0, 0}, num_bad = 0;
      world.AllReduce(*stream, TensorView(counts, {5}, DType::kI64, Device::Cpu()));
      world.AllReduce(*stream, TensorView(&num_bad, {1}, DType::kI64, Device::Cpu()));
    }
    blocks_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count() / kBlock);
  }
  std::nth_element(blocks_us.begin(), blocks_us.begin() + blocks_us.size() / 2, blocks_us.end());
  return blocks_us[blocks_us.size() / 2];
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  weft::MpiSession mpi;
  mpi.HasStarted();
  weft::RankRecord record;
  const std::unique_ptr<weft::Communicator> world = weft::WatchCommunicator(mpi.World(), record);
  const double microseconds = weft::MedianMicroseconds(*world, argc > 1 ? std::atoi(argv[1]) : 20000);
  if (world->rank() == 0) std::printf("%.2f\n", microseconds);
  return 0;
}
