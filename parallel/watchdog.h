// The watchdog of a rank: a thread that sees when the job stands still, finds out whom it waits for, and ends it.
//
// It reads the rank's record (rank_record.h) and talks to the watchdogs of the other ranks by datagrams, so it needs
// neither the rank's own thread nor MPI nor NCCL. Each rank tells the next one, a few times a second, where it is. A
// rank that has stood still, or has not heard from the one before it, for longer than the bound raises an alarm at
// rank 0 (or the lowest that answers), which asks all ranks for their records. If the job is stalled
// (stall_diagnosis.h), that rank says in one sentence why, and all end.
//
// Time is what the thread itself has witnessed, tick by tick: a job that was suspended as a whole goes on unharmed.
// It looks for stragglers, too (straggler.h).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/datagram_socket.h"
#include "parallel/rank_record.h"
#include "parallel/stall_diagnosis.h"
#include "parallel/straggler.h"

namespace weft {

struct WatchdogOptions {
  // Seconds without any progress that are a stall in a step, and of silence that are a stopped process; ten times
  // that while starting and saving. 0: five median steps and at least 30 s (before three steps are known: 300 s),
  // silence 30 s.
  double timeout_s = 0;
  double straggler_every_s = 60;  // between looks for stragglers
};

struct Stall {
  std::string
      sentence;  // "rank 2 on host n3 (pp0 dp1 tp0) does not come forward in step 12, ...; 3 other ranks wait for it"
  std::string ranks;  // a line for each rank
};

// What to do about a stall; called on the watchdog's thread.
struct StallHandlers {
  std::function<void(const Stall&)> tell;  // on one rank of the job: says why, to people
  // Then, on every rank but one that has failed and aborts by itself: ends the process. Where it returns (tests) the
  // watchdog stands by.
  std::function<void()> end;
};

class Watchdog {
 public:
  // Collective over `world`. `record` must outlive the watchdog.
  static StatusOr<std::unique_ptr<Watchdog>> Start(Communicator& world, RankRecord& record,
                                                   const WatchdogOptions& options, const StallHandlers& handlers);
  // Tells the others that this rank has ended.
  ~Watchdog();
  // From any thread: this rank has failed and is about to abort. Returns when the job has been looked at and the
  // reason told, or after some seconds.
  void ReportFailure();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  struct Peer {
    DatagramSocket::Endpoint endpoint;
    std::string host;
  };
  // What the rank before this one has told.
  struct Heard {
    bool ever = false;
    double silent_s = 0;
    RankSnapshot snapshot;
  };
  // Answers of all ranks, while they come in.
  struct Collection {
    double age_s = 0;
    std::vector<RankReport> reports;
    std::vector<std::optional<Heard>> heard;  // by the rank it is about
  };
  enum class Message : uint32_t;

  Watchdog(DatagramSocket socket, RankRecord& record, const WatchdogOptions& options, const StallHandlers& handlers);
  Status Meet(Communicator& world);
  void Loop();
  void Tick(double witnessed_s);
  void WatchOthers(double witnessed_s);
  void RaiseAlarm(double witnessed_s);
  void Collect();
  void EndProcess();
  void AskForRecords();
  void FinishCollection();
  void NameStraggler();
  void Handle(const std::string& bytes);
  void TakeAnswer(int from, const std::string& payload);
  std::string MyAnswer() const;
  void Tell(int rank, Message message, const std::string& payload = "") const;
  StallBounds Bounds() const;
  int num_ranks() const { return static_cast<int>(peers_.size()); }
  int rank_before() const { return (rank_ + num_ranks() - 1) % num_ranks(); }

  const DatagramSocket socket_;
  RankRecord& record_;
  const WatchdogOptions options_;
  const StallHandlers handlers_;
  const double tick_s_;
  uint64_t token_ = 0;  // of this job: messages without it are not ours
  int rank_ = 0;
  std::vector<Peer> peers_;  // by rank

  std::atomic<bool> stopping_ = false;
  std::atomic<bool> has_failed_ = false;
  std::atomic<bool> has_ended_ = false;  // the reason has been told
  // The thread's own.
  uint64_t last_changes_ = 0;
  double idle_s_ = 0;
  Heard heard_;              // of rank_before()
  bool has_warned_ = false;  // that nothing is heard of it
  int listener_ = 0;         // the rank that alarms go to
  bool listener_came_ = false;
  double since_alarm_s_ = 1e9;
  std::optional<Collection> collection_;
  double since_straggler_check_s_ = 0;
  int named_straggler_ = -1;
  std::thread thread_;
};

}  // namespace weft
