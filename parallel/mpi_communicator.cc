// Collectives over MPI between CPU ranks. The only file, besides launch/, that knows mpi.h.
//
// Calls run on the stream's thread (MPI is started with MPI_THREAD_MULTIPLE), so they keep stream order. What is longer
// than an int counts goes in pieces.
#include "parallel/mpi_communicator.h"

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "parallel/reduction.h"

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
  WEFT_CHECK(false) << "an all-reduce of " << DTypeName(dtype);
  return MPI_DATATYPE_NULL;
}

// Messages of reduce-scatters; those of Send and Receive have tag 0.
constexpr int kReduceScatterTag = 1;
// Seconds that the start may take, all ranks being there, and the end of the process; then SIGALRM ends it, and mpirun says
// so. No watchdog runs then, and in a process with too little memory Open MPI 4.1 has been seen to wait for ever in both.
constexpr unsigned kStartingS = 300, kEndingS = 45;
// What a rank takes from each other rank at once in a reduce-scatter: bounds the memory for it.
constexpr size_t kReducePieceBytes = size_t{4} << 20;

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator(MPI_Comm comm, const std::string& name, int64_t max_message_bytes)
      : Communicator(name), comm_(comm), max_message_bytes_(max_message_bytes) {
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    WEFT_MPI_CALL(MPI_Comm_rank(comm_, &rank_));
    WEFT_MPI_CALL(MPI_Comm_size(comm_, &size_));
  }
  ~MpiCommunicator() override { MPI_Comm_free(&comm_); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void AllReduce(Stream& stream, TensorView data, ReduceOp op) override {
    const MPI_Datatype type = MpiType(data.dtype());
    stream.Run([this, data, op, type] {
      const size_t width = DTypeSize(data.dtype());
      InPieces(data.num_bytes(), [&](size_t offset, int bytes) {
        WEFT_MPI_CALL(MPI_Allreduce(MPI_IN_PLACE, BytesOf(data) + offset, bytes / static_cast<int>(width), type,
                                    op == ReduceOp::kSum ? MPI_SUM : MPI_MAX, comm_));
      });
    });
  }

  void AllGather(Stream& stream, ConstTensorView part, TensorView whole) override {
    WEFT_CHECK_EQ(whole.num_bytes(), part.num_bytes() * static_cast<size_t>(size_));
    stream.Run([this, part, whole] {
      std::byte* mine = BytesOf(whole) + part.num_bytes() * static_cast<size_t>(rank_);
      if (part.num_bytes() > static_cast<size_t>(max_message_bytes_)) {
        if (part.raw() != mine) std::memcpy(mine, part.raw(), part.num_bytes());
        return GatherByBroadcasts(BytesOf(whole), part.num_bytes());
      }
      const int bytes = static_cast<int>(part.num_bytes());
      const void* from = part.raw() == mine ? MPI_IN_PLACE : part.raw();
      WEFT_MPI_CALL(MPI_Allgather(from, bytes, MPI_BYTE, whole.raw(), bytes, MPI_BYTE, comm_));
    });
  }

  // The pieces go to their owners, who add them: MPI's own sums know no bf16, and a user-defined one would round after
  // each addition, in an order that MPI chooses. It is the same traffic, and f32 gets the order of ranks as well.
  void ReduceScatter(Stream& stream, ConstTensorView whole, TensorView part) override {
    WEFT_CHECK_EQ(whole.num_elements(), part.num_elements() * size_);
    WEFT_CHECK(whole.dtype() == part.dtype()) << DTypeName(whole.dtype()) << " into " << DTypeName(part.dtype());
    stream.Run([this, whole, part] {
      InPieces(part.num_bytes(), [&](size_t offset, int bytes) { ReducePiece(whole, part, offset, bytes); },
               kReducePieceBytes);
    });
  }

  void Broadcast(Stream& stream, TensorView data, int root) override {
    stream.Run([this, data, root] { BroadcastBytes(BytesOf(data), data.num_bytes(), root); });
  }

  void Send(Stream& stream, ConstTensorView data, int to) override {
    stream.Run([this, data, to] {
      InPieces(data.num_bytes(), [&](size_t offset, int bytes) {
        WEFT_MPI_CALL(MPI_Send(BytesOf(data) + offset, bytes, MPI_BYTE, to, 0, comm_));
      });
    });
  }

  void Receive(Stream& stream, TensorView data, int from) override {
    stream.Run([this, data, from] {
      InPieces(data.num_bytes(), [&](size_t offset, int bytes) {
        MPI_Status status;
        WEFT_MPI_CALL(MPI_Recv(BytesOf(data) + offset, bytes, MPI_BYTE, from, 0, comm_, &status));
        int received = 0;
        WEFT_MPI_CALL(MPI_Get_count(&status, MPI_BYTE, &received));
        WEFT_CHECK_EQ(received, bytes) << name() << ": rank " << from << " sent a shorter message than rank " << rank_ << " expects";
      });
    });
  }

  std::unique_ptr<Communicator> Split(int color, int key, const std::string& name) override {
    MPI_Comm child;
    WEFT_MPI_CALL(MPI_Comm_split(comm_, color < 0 ? MPI_UNDEFINED : color, key, &child));
    if (color < 0) return nullptr;
    return std::make_unique<MpiCommunicator>(child, name, max_message_bytes_);
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
  static std::byte* BytesOf(TensorView data) { return static_cast<std::byte*>(data.raw()); }
  static const std::byte* BytesOf(ConstTensorView data) { return static_cast<const std::byte*>(data.raw()); }

  // Calls body(offset, bytes) over [0, total) in pieces that fit MPI's int counts, and `most`.
  template <typename Body>
  void InPieces(size_t total, const Body& body, size_t most = SIZE_MAX) const {
    most = std::min(most, static_cast<size_t>(max_message_bytes_));
    for (size_t offset = 0; offset < total; offset += most) body(offset, static_cast<int>(std::min(most, total - offset)));
  }

  void BroadcastBytes(std::byte* data, size_t total, int root) {
    InPieces(total, [&](size_t offset, int bytes) { WEFT_MPI_CALL(MPI_Bcast(data + offset, bytes, MPI_BYTE, root, comm_)); });
  }

  // For parts beyond MPI's int counts (its displacements are ints as well). Each rank's part is in its place already.
  void GatherByBroadcasts(std::byte* whole, size_t part_bytes) {
    for (int root = 0; root < size_; ++root) BroadcastBytes(whole + part_bytes * static_cast<size_t>(root), part_bytes, root);
  }

  // part[offset, offset + bytes) := the sum over ranks of that place in piece rank_ of each rank's `whole`.
  void ReducePiece(ConstTensorView whole, TensorView part, size_t offset, int bytes) {
    const auto piece_of = [&](int r) { return BytesOf(whole) + part.num_bytes() * static_cast<size_t>(r) + offset; };
    received_.resize(std::max(received_.size(), static_cast<size_t>(bytes) * static_cast<size_t>(size_)));
    std::vector<MPI_Request> requests;
    std::vector<const std::byte*> shares(static_cast<size_t>(size_));
    for (int r = 0; r < size_; ++r) {
      std::byte* into = received_.data() + static_cast<size_t>(bytes) * static_cast<size_t>(r);
      shares[static_cast<size_t>(r)] = r == rank_ ? piece_of(r) : into;
      if (r == rank_) continue;
      WEFT_MPI_CALL(MPI_Irecv(into, bytes, MPI_BYTE, r, kReduceScatterTag, comm_, &requests.emplace_back()));
    }
    for (int step = 1; step < size_; ++step) {  // each rank starts with its neighbour, so that not all hit rank 0 first
      const int r = (rank_ + step) % size_;
      WEFT_MPI_CALL(MPI_Isend(piece_of(r), bytes, MPI_BYTE, r, kReduceScatterTag, comm_, &requests.emplace_back()));
    }
    WEFT_MPI_CALL(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE));
    const int64_t num_elements = bytes / static_cast<int64_t>(DTypeSize(part.dtype()));
    ReduceInRankOrder(shares, ReduceOp::kSum, part.dtype(), num_elements, BytesOf(part) + offset);
  }

  MPI_Comm comm_;
  const int64_t max_message_bytes_;
  int rank_ = 0;
  int size_ = 1;
  std::vector<std::byte> received_;  // the other ranks' shares in a reduce-scatter; kept for the next one
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
  ::alarm(kStartingS);
  int provided = 0;
  WEFT_MPI_CALL(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided));
  WEFT_CHECK_GE(provided, MPI_THREAD_MULTIPLE) << "this MPI library was built without thread support";
  MPI_Comm host;
  WEFT_MPI_CALL(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host));
  WEFT_MPI_CALL(MPI_Comm_size(host, &ranks_on_host_));
  WEFT_MPI_CALL(MPI_Comm_rank(host, &rank_on_host_));
  WEFT_MPI_CALL(MPI_Comm_rank(MPI_COMM_WORLD, &host_));
  WEFT_MPI_CALL(MPI_Allreduce(MPI_IN_PLACE, &host_, 1, MPI_INT, MPI_MIN, host));
  MPI_Comm_free(&host);
}

void MpiSession::HasStarted() { ::alarm(0); }

MpiSession::~MpiSession() {
  if (!under_launcher_) return;
  ::alarm(kEndingS);  // stays on until the process is gone
  MPI_Finalize();
}

std::unique_ptr<Communicator> MpiSession::World(int64_t max_message_bytes) {
  int size = 1;
  if (under_launcher_) WEFT_MPI_CALL(MPI_Comm_size(MPI_COMM_WORLD, &size));
  if (size == 1) return MakeSelfCommunicator();  // which takes tensors of a GPU, too
  MPI_Comm world;
  WEFT_MPI_CALL(MPI_Comm_dup(MPI_COMM_WORLD, &world));
  return std::make_unique<MpiCommunicator>(world, "world", max_message_bytes);
}

}  // namespace weft
