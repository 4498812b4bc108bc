// The watchdog's thread and its conversation with the others (see watchdog.h).
#include "parallel/watchdog.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <random>
#include <utility>

#include "core/log.h"
#include "core/progress.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kTickS = 0.25;
constexpr double kAnswerS = 2;    // that a rank has to answer, before it is a suspect
constexpr double kUnheardS = 10;  // from the start, after which a message should have come through
constexpr double kDefaultIdleS = 30, kDefaultStartS = 300, kMedianSteps = 5, kSlowPhases = 10;
constexpr int kFailureWaitS = 8;  // that a failed rank waits for the others' records before it aborts
constexpr int kFewestSteps = 3;
constexpr int kMostProbes = 8;  // of ranks that do not answer; each may take a tenth of a second

// Every message: this, then a payload.
struct Header {
  uint64_t token;
  uint32_t message;
  int32_t from;
};

// The part of a snapshot that holds something.
std::string Pack(const RankSnapshot& snapshot) {
  const size_t bytes = offsetof(RankSnapshot, communicators) +
                       sizeof(CommunicatorRecord) * static_cast<size_t>(snapshot.num_communicators);
  return std::string(reinterpret_cast<const char*>(&snapshot), bytes);
}

// Takes one off the front of `bytes`; nullopt where it is none.
std::optional<RankSnapshot> Unpack(std::string_view* bytes) {
  constexpr size_t kFixed = offsetof(RankSnapshot, communicators);
  RankSnapshot snapshot;
  if (bytes->size() < kFixed) return std::nullopt;
  std::memcpy(static_cast<void*>(&snapshot), bytes->data(), kFixed);
  const int count = snapshot.num_communicators;
  if (count < 0 || count > RankSnapshot::kMaxCommunicators) return std::nullopt;
  const size_t rest = sizeof(CommunicatorRecord) * static_cast<size_t>(count);
  if (bytes->size() < kFixed + rest) return std::nullopt;
  std::memcpy(static_cast<void*>(snapshot.communicators.data()), bytes->data() + kFixed, rest);
  bytes->remove_prefix(kFixed + rest);
  return snapshot;
}

// What stands before the snapshots of an answer.
struct AnswerHead {
  double idle_s;
  double heard_silent_s;
  int32_t heard_ever;
  int32_t has_failed;
};

}  // namespace

enum class Watchdog::Message : uint32_t {
  kBeat,     // "I am here": a snapshot, to the next rank
  kAlarm,    // "something stands still", to the listener
  kHeard,    // the listener's answer to it
  kRequest,  // "where are you?"
  kAnswer,   // AnswerHead, own snapshot, and that of the rank before, if ever heard
  kEnd,      // "the reason has been told: end"
  kWake,     // to itself
};

// --- Start and end
// ---------------------------------------------------------------------------------------------------

Watchdog::Watchdog(DatagramSocket socket, RankRecord& record, const WatchdogOptions& options,
                   const StallHandlers& handlers)
    : socket_(std::move(socket)),
      record_(record),
      options_(options),
      handlers_(handlers),
      tick_s_(options.timeout_s > 0 ? std::clamp(options.timeout_s / 10, 0.02, kTickS) : kTickS) {}

StatusOr<std::unique_ptr<Watchdog>> Watchdog::Start(Communicator& world, RankRecord& record,
                                                    const WatchdogOptions& options, const StallHandlers& handlers) {
  StatusOr<DatagramSocket> socket = DatagramSocket::Open();
  const Status opened = AgreeOnStatus(world, socket.status());
  if (!opened.ok()) return WithContext(opened, "the watchdog (watchdog.timeout: 0 goes without it)");
  std::unique_ptr<Watchdog> watchdog(new Watchdog(std::move(*socket), record, options, handlers));
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(world, watchdog->Meet(world)));
  const RankLabel label = CurrentRank();
  watchdog->thread_ = std::thread([dog = watchdog.get(), label] {
    ::pthread_setname_np(::pthread_self(), "weft-watchdog");  // what it costs can be read off the kernel's counts
    SetCurrentRank(label);
    dog->Loop();
  });
  return watchdog;
}

// Every rank learns the addresses of all, and the token that rank 0 has drawn.
Status Watchdog::Meet(Communicator& world) {
  rank_ = world.rank();
  std::random_device random;
  const uint64_t drawn = (static_cast<uint64_t>(random()) << 32) | random();
  const std::vector<std::string> tokens = world.AllGatherBytes(rank_ == 0 ? StrCat(drawn) : "");
  token_ = std::stoull(tokens[0]);
  const std::vector<std::string> hosts = world.AllGatherBytes(HostName());
  const std::vector<std::string> addresses = world.AllGatherBytes(socket_.Advertise());
  for (size_t rank = 0; rank < hosts.size(); ++rank) {
    const StatusOr<DatagramSocket::Endpoint> endpoint = DatagramSocket::Resolve(addresses[rank]);
    if (!endpoint.ok()) {
      return WithContext(endpoint.status(), StrCat("the watchdog cannot reach rank ", rank, " on ", hosts[rank],
                                                   " (watchdog.timeout: 0 goes without it)"));
    }
    peers_.push_back({*endpoint, hosts[rank]});
  }
  return absl::OkStatus();
}

Watchdog::~Watchdog() {
  if (!thread_.joinable()) return;  // it never started
  stopping_ = true;
  Tell(rank_, Message::kWake);
  thread_.join();
  record_.Enter(Phase::kEnded);
  Tell((rank_ + 1) % num_ranks(), Message::kBeat, Pack(record_.Read()));
}

void Watchdog::ReportFailure() {
  if (std::this_thread::get_id() == thread_.get_id()) return;
  has_failed_ = true;
  Tell(rank_, Message::kWake);
  const Clock::time_point latest = Clock::now() + std::chrono::seconds(kFailureWaitS);
  while (!has_ended_ && Clock::now() < latest) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

void Watchdog::EndProcess() {
  if (!has_failed_) handlers_.end();
}

// --- The thread
// ------------------------------------------------------------------------------------------------------

void Watchdog::Loop() {
  Clock::time_point last = Clock::now();
  while (!stopping_) {
    for (double left = tick_s_; left > 0 && !stopping_;) {
      if (const std::optional<std::string> bytes = socket_.Receive(left)) Handle(*bytes);
      left = tick_s_ - std::chrono::duration<double>(Clock::now() - last).count();
    }
    const Clock::time_point now = Clock::now();
    // While this thread slept for longer, so did everything here; what others did meanwhile is not known.
    Tick(std::min(std::chrono::duration<double>(now - last).count(), 2 * tick_s_));
    last = now;
  }
}

void Watchdog::Tick(double witnessed_s) {
  if (has_ended_ || stopping_) return;
  const uint64_t changes = record_.num_changes();
  idle_s_ = changes == last_changes_ ? idle_s_ + witnessed_s : 0;
  last_changes_ = changes;
  if (num_ranks() > 1) Tell((rank_ + 1) % num_ranks(), Message::kBeat, Pack(record_.Read()));
  since_straggler_check_s_ += witnessed_s;
  if (rank_ == 0 && num_ranks() > 1 && !collection_ && since_straggler_check_s_ >= options_.straggler_every_s)
    Collect();
  WatchOthers(witnessed_s);
  if (!collection_) return;
  collection_->age_s += witnessed_s;
  collection_->age_s < kAnswerS ? AskForRecords() : FinishCollection();
}

// Raises an alarm where this rank stands still, or the one before it is silent.
void Watchdog::WatchOthers(double witnessed_s) {
  const StallBounds bounds = Bounds();
  heard_.silent_s += witnessed_s;
  if (num_ranks() > 1 && !heard_.ever && heard_.silent_s >= kUnheardS && !std::exchange(has_warned_, true)) {
    LogWarning("the watchdog hears nothing of rank ", rank_before(), " on host ",
               peers_[static_cast<size_t>(rank_before())].host,
               ": do its UDP datagrams get through? A process there that stops will not be named");
  }
  const bool is_watching = num_ranks() > 1 && heard_.ever && heard_.snapshot.position.place.phase != Phase::kEnded;
  const bool is_silent =
      is_watching && (heard_.silent_s >= bounds.silence_s ||
                      (heard_.silent_s >= std::min(bounds.no_process_s, bounds.silence_s) &&
                       DatagramSocket::IsClosed(peers_[static_cast<size_t>(rank_before())].endpoint)));
  const bool is_idle = idle_s_ >= bounds.IdleBoundOf(record_.Read().position.place.phase);
  if (is_silent || is_idle || has_failed_) {
    RaiseAlarm(witnessed_s);
  } else {
    listener_ = 0;
    listener_came_ = false;
    since_alarm_s_ = 1e9;
  }
}

// Tells the listener, again and again while the reason lasts. One that does not answer is passed over.
void Watchdog::RaiseAlarm(double witnessed_s) {
  since_alarm_s_ += witnessed_s;
  if (since_alarm_s_ < kAnswerS) return;
  const bool was_asked = since_alarm_s_ < 1e9;
  if (was_asked && !listener_came_ && listener_ < rank_) ++listener_;
  since_alarm_s_ = 0;
  listener_came_ = false;
  if (listener_ < rank_) return Tell(listener_, Message::kAlarm);
  if (!collection_) Collect();
}

StallBounds Watchdog::Bounds() const {
  StallBounds bounds;
  if (options_.timeout_s > 0) {
    bounds.idle_s = bounds.silence_s = options_.timeout_s;
  } else {
    const StepTimes times = record_.Read().times;
    const bool is_known = times.num_steps >= kFewestSteps;
    bounds.idle_s =
        is_known ? std::max(kDefaultIdleS, kMedianSteps * static_cast<double>(times.median_step)) : kDefaultStartS;
    bounds.silence_s = kDefaultIdleS;
  }
  bounds.no_process_s = std::min(bounds.no_process_s, bounds.silence_s);
  bounds.slow_phase_s = std::max(kSlowPhases * bounds.silence_s, bounds.idle_s);
  return bounds;
}

// --- Collecting the records of all
// -----------------------------------------------------------------------------------

void Watchdog::Collect() {
  collection_.emplace();
  for (const Peer& peer : peers_) {
    collection_->reports.push_back({.answer = RankReport::Answer::kNone, .snapshot = {}, .host = peer.host});
  }
  collection_->heard.resize(peers_.size());
  TakeAnswer(rank_, MyAnswer());
  AskForRecords();
}

// Those that have not answered yet: a request or an answer may have been lost.
void Watchdog::AskForRecords() {
  for (int rank = 0; rank < num_ranks(); ++rank) {
    if (collection_->reports[static_cast<size_t>(rank)].answer != RankReport::Answer::kCame)
      Tell(rank, Message::kRequest);
  }
}

std::string Watchdog::MyAnswer() const {
  const AnswerHead head = {.idle_s = idle_s_,
                           .heard_silent_s = heard_.silent_s,
                           .heard_ever = heard_.ever ? 1 : 0,
                           .has_failed = has_failed_ ? 1 : 0};
  std::string answer(reinterpret_cast<const char*>(&head), sizeof(head));
  answer += Pack(record_.Read());
  if (heard_.ever) answer += Pack(heard_.snapshot);
  return answer;
}

void Watchdog::TakeAnswer(int from, const std::string& payload) {
  if (!collection_ || payload.size() < sizeof(AnswerHead)) return;
  AnswerHead head;
  std::memcpy(&head, payload.data(), sizeof(head));
  std::string_view rest = std::string_view(payload).substr(sizeof(head));
  const std::optional<RankSnapshot> own = Unpack(&rest);
  if (!own.has_value()) return;
  RankReport& report = collection_->reports[static_cast<size_t>(from)];
  report.answer = RankReport::Answer::kCame;
  report.snapshot = own;
  report.idle_s = head.idle_s;
  report.has_failed = head.has_failed != 0;
  const int before = (from + num_ranks() - 1) % num_ranks();
  Heard& heard = collection_->heard[static_cast<size_t>(before)].emplace();
  heard.silent_s = head.heard_silent_s;
  if (head.heard_ever == 0) return;
  const std::optional<RankSnapshot> theirs = Unpack(&rest);
  if (!theirs.has_value()) return;
  heard.ever = true;
  heard.snapshot = *theirs;
}

void Watchdog::FinishCollection() {
  int num_probes = 0;
  for (size_t rank = 0; rank < peers_.size(); ++rank) {
    RankReport& report = collection_->reports[rank];
    if (report.answer == RankReport::Answer::kCame) continue;
    const std::optional<Heard>& heard = collection_->heard[rank];
    if (heard.has_value() && heard->ever) report.snapshot = heard->snapshot;
    if (heard.has_value()) report.silent_s = heard->silent_s;
    if (heard.has_value() && !heard->ever) report.answer = RankReport::Answer::kUnheard;
    if (num_probes++ < kMostProbes && DatagramSocket::IsClosed(peers_[rank].endpoint))
      report.answer = RankReport::Answer::kNoProcess;
  }
  if (IsStalled(collection_->reports, Bounds())) {
    handlers_.tell(
        {.sentence = DiagnoseStall(collection_->reports).sentence, .ranks = DescribeRanks(collection_->reports)});
    for (int rank = 0; rank < num_ranks(); ++rank) {
      if (rank != rank_) Tell(rank, Message::kEnd);
    }
    has_ended_ = true;
    EndProcess();
  } else {
    NameStraggler();
  }
  collection_.reset();
}

void Watchdog::NameStraggler() {
  if (since_straggler_check_s_ < options_.straggler_every_s) return;
  since_straggler_check_s_ = 0;
  std::vector<std::optional<RankSnapshot>> snapshots;
  for (const RankReport& report : collection_->reports) snapshots.push_back(report.snapshot);
  const std::optional<Straggler> slow = FindStraggler(snapshots);
  if (slow.has_value() && slow->rank != named_straggler_) {
    LogWarning("rank ", slow->rank, " on host ", peers_[static_cast<size_t>(slow->rank)].host,
               " is slow: its own work in a step takes ", HumanDuration(slow->busy_s),
               ", that of the other ranks of its stage ", HumanDuration(slow->others_s), "; all wait for it");
  }
  named_straggler_ = slow.has_value() ? slow->rank : -1;
}

// --- Messages
// --------------------------------------------------------------------------------------------------------

void Watchdog::Tell(int rank, Message message, const std::string& payload) const {
  const Header header = {.token = token_, .message = static_cast<uint32_t>(message), .from = rank_};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes += payload;
  socket_.Send(peers_[static_cast<size_t>(rank)].endpoint, bytes);
}

void Watchdog::Handle(const std::string& bytes) {
  Header header;
  if (bytes.size() < sizeof(header)) return;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.token != token_ || header.from < 0 || header.from >= num_ranks()) return;
  const std::string payload = bytes.substr(sizeof(header));
  std::string_view rest = payload;
  switch (static_cast<Message>(header.message)) {
    case Message::kBeat:
      if (header.from != rank_before()) return;
      if (std::optional<RankSnapshot> snapshot = Unpack(&rest))
        heard_ = {.ever = true, .silent_s = 0, .snapshot = *snapshot};
      return;
    case Message::kAlarm:
      Tell(header.from, Message::kHeard);
      if (!collection_ && !has_ended_) Collect();
      return;
    case Message::kHeard:
      listener_came_ = true;
      return;
    case Message::kRequest:
      return Tell(header.from, Message::kAnswer, MyAnswer());
    case Message::kAnswer:
      return TakeAnswer(header.from, payload);
    case Message::kEnd:
      if (!has_ended_.exchange(true)) EndProcess();
      return;
    case Message::kWake:
      return;
  }
}

}  // namespace weft
