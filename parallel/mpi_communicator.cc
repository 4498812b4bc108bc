// Collectives over MPI between CPU ranks. The only file, besides launch/, that knows mpi.h.
//
// Calls run on the stream's thread (MPI is started with MPI_THREAD_MULTIPLE), so they keep stream order. Messages
// longer than an int counts go in pieces.
#include "parallel/mpi_communicator.h"

#include <mpi.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

namespace weft {
namespace {

#define WEFT_MPI_CALL(expr)                                                          \
  do {                                                                               \
    const int weft_mpi_ = (expr);                                                    \
    WEFT_CHECK_EQ(weft_mpi_, MPI_SUCCESS) << #expr << ": " << MpiErrorText(weft_mpi_); \
  } while (false)

std::string MpiErrorText(int code) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  return std::string(text, static_cast<size_t>(length));
}

MPI_Datatype MpiType(DType dtype) {
  if (dtype == DType::kF32) return MPI_FLOAT;
  if (dtype == DType::kI64) return MPI_INT64_T;
  WEFT_CHECK(false) << "reductions take f32 or i64, not " << DTypeName(dtype);
  return MPI_DATATYPE_NULL;
}

constexpr int64_t kMaxCount = int64_t{1} << 30;  // elements or bytes a call

// Calls body(offset, count) over [0, n) in pieces that fit an int.
template <typename Body>
void InPieces(int64_t n, const Body& body) {
  for (int64_t offset = 0; offset < n; offset += kMaxCount) {
    body(offset, static_cast<int>(std::min(kMaxCount, n - offset)));
  }
}

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator(MPI_Comm comm, const std::string& name) : Communicator(name), comm_(comm) {
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    WEFT_MPI_CALL(MPI_Comm_rank(comm_, &rank_));
    WEFT_MPI_CALL(MPI_Comm_size(comm_, &size_));
  }
  ~MpiCommunicator() override { MPI_Comm_free(&comm_); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void AllReduce(Stream& stream, TensorView data, ReduceOp op) override {
    stream.Run([this, data, op] {
      const MPI_Datatype type = MpiType(data.dtype());
      auto* bytes = static_cast<std::byte*>(data.raw());
      InPieces(data.num_elements(), [&](int64_t offset, int count) {
        WEFT_MPI_CALL(MPI_Allreduce(MPI_IN_PLACE, bytes + static_cast<size_t>(offset) * DTypeSize(data.dtype()), count,
                                    type, op == ReduceOp::kSum ? MPI_SUM : MPI_MAX, comm_));
      });
    });
  }

  void AllGather(Stream& stream, ConstTensorView part, TensorView whole) override {
    WEFT_CHECK_EQ(whole.num_bytes(), part.num_bytes() * static_cast<size_t>(size_));
    WEFT_CHECK_LE(part.num_bytes(), static_cast<size_t>(INT_MAX)) << "an all-gather of over 2 GiB a rank";
    stream.Run([this, part, whole] {
      auto* bytes = static_cast<std::byte*>(whole.raw());
      const int count = static_cast<int>(part.num_bytes());
      const bool in_place = part.raw() == bytes + part.num_bytes() * static_cast<size_t>(rank_);
      WEFT_MPI_CALL(MPI_Allgather(in_place ? MPI_IN_PLACE : part.raw(), count, MPI_BYTE, bytes, count, MPI_BYTE, comm_));
    });
  }

  void ReduceScatter(Stream& stream, ConstTensorView whole, TensorView part) override {
    WEFT_CHECK_EQ(whole.num_elements(), part.num_elements() * size_);
    WEFT_CHECK_LE(part.num_elements(), kMaxCount);
    stream.Run([this, whole, part] {
      auto* mine = static_cast<const std::byte*>(whole.raw()) + part.num_bytes() * static_cast<size_t>(rank_);
      const int count = static_cast<int>(part.num_elements());
      if (part.raw() != mine) {
        WEFT_MPI_CALL(MPI_Reduce_scatter_block(whole.raw(), part.raw(), count, MpiType(part.dtype()), MPI_SUM, comm_));
        return;
      }
      // MPI's in-place form leaves the result at the start, so the sum goes aside first.
      std::vector<std::byte> sum(part.num_bytes());
      WEFT_MPI_CALL(MPI_Reduce_scatter_block(whole.raw(), sum.data(), count, MpiType(part.dtype()), MPI_SUM, comm_));
      std::copy(sum.begin(), sum.end(), static_cast<std::byte*>(part.raw()));
    });
  }

  void Broadcast(Stream& stream, TensorView data, int root) override {
    stream.Run([this, data, root] {
      auto* bytes = static_cast<std::byte*>(data.raw());
      InPieces(static_cast<int64_t>(data.num_bytes()), [&](int64_t offset, int count) {
        WEFT_MPI_CALL(MPI_Bcast(bytes + offset, count, MPI_BYTE, root, comm_));
      });
    });
  }

  void Send(Stream& stream, ConstTensorView data, int to) override {
    stream.Run([this, data, to] {
      auto* bytes = static_cast<const std::byte*>(data.raw());
      InPieces(static_cast<int64_t>(data.num_bytes()), [&](int64_t offset, int count) {
        WEFT_MPI_CALL(MPI_Send(bytes + offset, count, MPI_BYTE, to, 0, comm_));
      });
    });
  }

  void Receive(Stream& stream, TensorView data, int from) override {
    stream.Run([this, data, from] {
      auto* bytes = static_cast<std::byte*>(data.raw());
      InPieces(static_cast<int64_t>(data.num_bytes()), [&](int64_t offset, int count) {
        WEFT_MPI_CALL(MPI_Recv(bytes + offset, count, MPI_BYTE, from, 0, comm_, MPI_STATUS_IGNORE));
      });
    });
  }

  std::unique_ptr<Communicator> Split(int color, int key, const std::string& name) override {
    MPI_Comm child;
    WEFT_MPI_CALL(MPI_Comm_split(comm_, color < 0 ? MPI_UNDEFINED : color, key, &child));
    if (color < 0) return nullptr;
    return std::make_unique<MpiCommunicator>(child, name);
  }

  std::vector<std::string> AllGatherBytes(const std::string& mine) override {
    WEFT_CHECK_LE(mine.size(), static_cast<size_t>(INT_MAX));
    const int length = static_cast<int>(mine.size());
    std::vector<int> lengths(static_cast<size_t>(size_)), offsets(static_cast<size_t>(size_), 0);
    WEFT_MPI_CALL(MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, comm_));
    for (size_t r = 1; r < offsets.size(); ++r) offsets[r] = offsets[r - 1] + lengths[r - 1];
    std::string joined(static_cast<size_t>(offsets.back() + lengths.back()), '\0');
    WEFT_MPI_CALL(MPI_Allgatherv(mine.data(), length, MPI_BYTE, joined.data(), lengths.data(), offsets.data(), MPI_BYTE, comm_));
    std::vector<std::string> all;
    for (size_t r = 0; r < offsets.size(); ++r) {
      all.push_back(joined.substr(static_cast<size_t>(offsets[r]), static_cast<size_t>(lengths[r])));
    }
    return all;
  }

 private:
  MPI_Comm comm_;
  int rank_ = 0;
  int size_ = 1;
};

// Open MPI's mpirun and PMIx- or PMI-based launchers (srun) all leave a mark in the environment.
bool StartedByLauncher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

}  // namespace

MpiSession::MpiSession() : under_launcher_(StartedByLauncher()) {
  if (!under_launcher_) return;
  int provided = 0;
  WEFT_MPI_CALL(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided));
  WEFT_CHECK_GE(provided, MPI_THREAD_MULTIPLE) << "this MPI library was built without thread support";
  MPI_Comm host;
  WEFT_MPI_CALL(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host));
  WEFT_MPI_CALL(MPI_Comm_size(host, &ranks_on_host_));
  MPI_Comm_free(&host);
}

MpiSession::~MpiSession() {
  if (under_launcher_) MPI_Finalize();
}

std::unique_ptr<Communicator> MpiSession::World() {
  if (!under_launcher_) return MakeSelfCommunicator();
  MPI_Comm world;
  WEFT_MPI_CALL(MPI_Comm_dup(MPI_COMM_WORLD, &world));
  return std::make_unique<MpiCommunicator>(world, "world");
}

}  // namespace weft
