// Finds whom a stalled job waits for (see stall_diagnosis.h).
#include "parallel/stall_diagnosis.h"

#include <algorithm>
#include <map>

#include "core/progress.h"
#include "core/str_cat.h"
#include "parallel/record_text.h"

namespace weft {
namespace {

using Reports = std::vector<RankReport>;

// The ranks of one group, as far as their records are known.
struct Group {
  struct Member {
    int rank;  // of the job
    const CommunicatorRecord* record;
  };
  std::vector<Member> members;
};

std::map<uint64_t, Group> GroupsOf(const Reports& reports) {
  std::map<uint64_t, Group> groups;
  for (size_t rank = 0; rank < reports.size(); ++rank) {
    if (!reports[rank].snapshot.has_value()) continue;
    const RankSnapshot& snapshot = *reports[rank].snapshot;
    for (int i = 0; i < snapshot.num_communicators; ++i) {
      const CommunicatorRecord& record = snapshot.communicators[static_cast<size_t>(i)];
      groups[record.id].members.push_back({static_cast<int>(rank), &record});
    }
  }
  return groups;
}

// One rank inside a call that cannot end before another rank has come.
struct Wait {
  int rank, for_rank;
  const CommunicatorRecord* record;
};

bool MeetsTransferOf(const CommunicatorRecord& peer, const CommunicatorRecord& mine) {
  return peer.inside == CommunicatorRecord::Inside::kTransfer && peer.transfer.peer == mine.rank &&
         peer.transfer.operation != mine.transfer.operation;
}

std::vector<Wait> WaitsIn(const Group& group) {
  using Inside = CommunicatorRecord::Inside;
  std::vector<Wait> waits;
  for (const auto& [rank, mine] : group.members) {
    for (const auto& [other, theirs] : group.members) {
      if (rank == other) continue;
      const bool in_collective =
          mine->inside == Inside::kCollective && theirs->num_collectives < mine->num_collectives;
      const bool in_transfer = mine->inside == Inside::kTransfer && mine->transfer.peer == theirs->rank &&
                               !MeetsTransferOf(*theirs, *mine);
      if (in_collective || in_transfer) waits.push_back({rank, other, mine});
    }
  }
  return waits;
}

std::vector<Wait> AllWaits(const std::map<uint64_t, Group>& groups) {
  std::vector<Wait> waits;
  for (const auto& [id, group] : groups) {
    for (const Wait& wait : WaitsIn(group)) waits.push_back(wait);
  }
  return waits;
}

// The ranks that wait for `rank`, or for one that does, and so on.
std::vector<bool> WaitingFor(int rank, const std::vector<Wait>& waits, size_t num_ranks) {
  std::vector<bool> waiting(num_ranks, false);
  for (bool grew = true; grew;) {
    grew = false;
    for (const Wait& wait : waits) {
      const bool counts = wait.for_rank == rank || waiting[static_cast<size_t>(wait.for_rank)];
      if (!counts || waiting[static_cast<size_t>(wait.rank)] || wait.rank == rank) continue;
      waiting[static_cast<size_t>(wait.rank)] = grew = true;
    }
  }
  return waiting;
}

// ", which 3 of 4 ranks wait for, rank 0 in ...".
std::string WhoWaits(int culprit, const std::vector<Wait>& waits, const Reports& reports) {
  const std::vector<bool> waiting = WaitingFor(culprit, waits, reports.size());
  const auto count = std::count(waiting.begin(), waiting.end(), true);
  if (count == 0) return "";
  std::string text = StrCat("; ", count, count == 1 ? " other rank waits" : " other ranks wait", " for it");
  for (const Wait& wait : waits) {
    if (wait.for_rank != culprit) continue;
    return StrCat(text, ", rank ", wait.rank, " in ", DescribeCall(*wait.record), " in ",
                  Describe(reports[static_cast<size_t>(wait.rank)].snapshot->position));
  }
  return text;
}

std::string Name(int rank, const Reports& reports) {
  const RankReport& report = reports[static_cast<size_t>(rank)];
  std::string text = StrCat("rank ", rank, " on host ", report.host);
  if (report.snapshot.has_value()) StrAppend(&text, " (", report.snapshot->position.coord.ToString(), ")");
  return text;
}

// --- The answers, in the order in which they are tried
// ---------------------------------------------------------------

std::optional<StallDiagnosis> FindSilent(const Reports& reports, const std::vector<Wait>& waits) {
  int culprit = -1, more = 0;
  for (size_t rank = 0; rank < reports.size(); ++rank) {
    const bool is_silent =
        reports[rank].answer == RankReport::Answer::kNone || reports[rank].answer == RankReport::Answer::kNoProcess;
    const bool has_ended =
        reports[rank].snapshot.has_value() && reports[rank].snapshot->position.place.phase == Phase::kEnded;
    if (!is_silent || has_ended) continue;
    culprit < 0 ? culprit = static_cast<int>(rank) : ++more;
  }
  if (culprit < 0) return std::nullopt;
  const RankReport& report = reports[static_cast<size_t>(culprit)];
  const bool is_gone = report.answer == RankReport::Answer::kNoProcess;
  std::string text =
      StrCat(Name(culprit, reports), is_gone ? " has died (killed, or out of memory)"
                                             : " does not answer (stopped, swapped out, or its host is down)");
  if (report.snapshot.has_value()) {
    StrAppend(&text, ", last heard of ", HumanDuration(report.silent_s), " ago in ",
              Describe(report.snapshot->position));
  }
  if (more > 0)
    StrAppend(&text, more == 1 ? "; one more rank is" : StrCat("; ", more, " more ranks are"), " gone as well");
  return StallDiagnosis{culprit, StrCat(text, WhoWaits(culprit, waits, reports))};
}

// Where several have failed, the first may have pulled down the others: they say nothing by themselves.
std::optional<StallDiagnosis> FindFailed(const Reports& reports, const std::vector<Wait>& waits) {
  const auto has_failed = [](const RankReport& report) { return report.has_failed; };
  if (std::count_if(reports.begin(), reports.end(), has_failed) != 1) return std::nullopt;
  for (size_t rank = 0; rank < reports.size(); ++rank) {
    if (!reports[rank].has_failed || !reports[rank].snapshot.has_value()) continue;
    const int culprit = static_cast<int>(rank);
    return StallDiagnosis{culprit,
                          StrCat(Name(culprit, reports), " has failed (its message is above) in ",
                                 Describe(reports[rank].snapshot->position), WhoWaits(culprit, waits, reports))};
  }
  return std::nullopt;
}

// Two ranks of one pipeline stage run the same plan, so they can be compared action by action; others by phase.
bool IsSameStage(const Position& a, const Position& b) { return a.coord.of(Axis::kPp) == b.coord.of(Axis::kPp); }

// -1, 0, 1: whether `a` comes before, is, or comes after `b`.
int ComparePlaces(const Place& a, const Place& b, bool by_ordinal) {
  if (a.step != b.step) return a.step < b.step ? -1 : 1;
  if (a.phase != b.phase) return a.phase < b.phase ? -1 : 1;
  if (!by_ordinal || a.ordinal == b.ordinal) return 0;
  return a.ordinal < b.ordinal ? -1 : 1;
}

bool IsSameCall(const CallRecord& a, const CallRecord& b, bool by_ordinal) {
  return a.operation == b.operation && a.dtype == b.dtype && a.num_elements == b.num_elements && a.peer == b.peer &&
         ComparePlaces(a.place, b.place, by_ordinal) == 0;
}

const Position& PositionOf(const Group::Member& member, const Reports& reports) {
  return reports[static_cast<size_t>(member.rank)].snapshot->position;
}

// A member whose call of one number is not that of another.
struct Mismatch {
  const Group::Member *odd, *other;
  int num_agreeing;  // with `odd`, itself included
};

std::optional<Mismatch> MismatchOf(const Group& group, const Group::Member& member, int64_t n,
                                   const Reports& reports) {
  Mismatch mismatch = {&member, nullptr, 0};
  for (const Group::Member& each : group.members) {
    if (!each.record->Remembers(n)) continue;
    const bool by_ordinal = IsSameStage(PositionOf(member, reports), PositionOf(each, reports));
    const bool agrees = IsSameCall(member.record->Collective(n), each.record->Collective(n), by_ordinal);
    agrees ? ++mismatch.num_agreeing : (mismatch.other = &each, 0);
  }
  return mismatch.other == nullptr ? std::nullopt : std::optional(mismatch);
}

// Whose call number n differs: the fewer are wrong; of equally many, who is further on has left one out before.
std::optional<Mismatch> OddOneOut(const Group& group, int64_t n, const Reports& reports) {
  std::optional<Mismatch> odd;
  for (const Group::Member& member : group.members) {
    if (!member.record->Remembers(n)) continue;
    const std::optional<Mismatch> found = MismatchOf(group, member, n, reports);
    if (!found.has_value()) continue;
    const bool is_fewer = !odd.has_value() || found->num_agreeing < odd->num_agreeing;
    const bool is_further =
        odd.has_value() && found->num_agreeing == odd->num_agreeing &&
        ComparePlaces(member.record->Collective(n).place, odd->odd->record->Collective(n).place,
                      IsSameStage(PositionOf(member, reports), PositionOf(*odd->odd, reports))) > 0;
    if (is_fewer || is_further) odd = found;
  }
  return odd;
}

// Of two ranks, or halves, that differ at the same place either may be wrong.
bool IsEven(const Mismatch& mismatch, const Group& group, int64_t n, const Reports& reports) {
  const auto& [odd, other, num_agreeing] = mismatch;
  const bool by_ordinal = IsSameStage(PositionOf(*odd, reports), PositionOf(*other, reports));
  return MismatchOf(group, *other, n, reports)->num_agreeing == num_agreeing &&
         ComparePlaces(odd->record->Collective(n).place, other->record->Collective(n).place, by_ordinal) == 0;
}

std::optional<StallDiagnosis> FindMismatch(const std::map<uint64_t, Group>& groups, const Reports& reports) {
  for (const auto& [id, group] : groups) {
    int64_t last = 0;
    for (const Group::Member& member : group.members) last = std::max(last, member.record->num_collectives);
    for (int64_t n = std::max<int64_t>(1, last - CommunicatorRecord::kHistory); n <= last; ++n) {
      const std::optional<Mismatch> found = OddOneOut(group, n, reports);
      if (!found.has_value()) continue;
      const auto& [odd, other, num_agreeing] = *found;
      const auto text = [n, &reports](const Group::Member& member) {
        const CallRecord& call = member.record->Collective(n);
        return StrCat(DescribeCall(call), " in ", Describe(call.place, PositionOf(member, reports).head_group));
      };
      if (IsEven(*found, group, n, reports)) {
        return StallDiagnosis{-1, StrCat(Name(odd->rank, reports), " and ", Name(other->rank, reports),
                                         " have made different calls on ", odd->record->name, ", and either may be wrong: call ", n,
                                         " of rank ", odd->rank, " is ", text(*odd), ", that of rank ", other->rank, " ", text(*other))};
      }
      return StallDiagnosis{
          odd->rank, StrCat(Name(odd->rank, reports), " has made another call than the others of ", odd->record->name,
                            ": its call ", n, " is ", text(*odd), ", that of rank ", other->rank, " ", text(*other),
                            "; it stands in ", Describe(PositionOf(*odd, reports)))};
    }
  }
  return std::nullopt;
}

// A rank that others wait for and that waits for nobody; of several the one that most wait for.
std::optional<StallDiagnosis> FindLast(const Reports& reports, const std::vector<Wait>& waits) {
  std::vector<bool> waits_itself(reports.size(), false);
  for (const Wait& wait : waits) waits_itself[static_cast<size_t>(wait.rank)] = true;
  int culprit = -1;
  std::ptrdiff_t most = 0;
  for (size_t rank = 0; rank < reports.size(); ++rank) {
    if (waits_itself[rank]) continue;
    const std::vector<bool> waiting = WaitingFor(static_cast<int>(rank), waits, reports.size());
    const auto count = std::count(waiting.begin(), waiting.end(), true);
    if (count <= most) continue;
    culprit = static_cast<int>(rank);
    most = count;
  }
  if (culprit < 0) return std::nullopt;
  const Position& position = reports[static_cast<size_t>(culprit)].snapshot->position;
  const std::string what = position.place.phase == Phase::kEnded ? " has ended after " : " does not come forward in ";
  return StallDiagnosis{culprit,
                        StrCat(Name(culprit, reports), what, Describe(position), WhoWaits(culprit, waits, reports))};
}

// A rank that has not begun a collective that others are in, although it is past the place where they made it.
std::optional<StallDiagnosis> FindSkipped(const std::map<uint64_t, Group>& groups, const Reports& reports) {
  for (const auto& [id, group] : groups) {
    for (const Wait& wait : WaitsIn(group)) {
      if (wait.record->inside != CommunicatorRecord::Inside::kCollective) continue;
      const Position& culprit = reports[static_cast<size_t>(wait.for_rank)].snapshot->position;
      const Position& waiter = reports[static_cast<size_t>(wait.rank)].snapshot->position;
      const CallRecord& call = wait.record->Collective(wait.record->num_collectives);
      if (ComparePlaces(culprit.place, call.place, IsSameStage(culprit, waiter)) <= 0) continue;
      return StallDiagnosis{
          wait.for_rank,
          StrCat(Name(wait.for_rank, reports), " has left out a collective of ", wait.record->name, ": it is in ",
                 Describe(culprit), ", past ", Describe(call.place, waiter.head_group), ", where rank ", wait.rank,
                 " waits for it in ", DescribeCall(*wait.record), " (call ", wait.record->num_collectives, ")")};
    }
  }
  return std::nullopt;
}

StallDiagnosis DescribeCircle(const std::vector<Wait>& waits, const Reports& reports) {
  const Wait& wait = waits.front();
  return {-1, StrCat("ranks wait for each other in a circle: rank ", wait.rank, " for rank ", wait.for_rank, " in ",
                     DescribeCall(*wait.record), " in ",
                     Describe(reports[static_cast<size_t>(wait.rank)].snapshot->position))};
}

// Where no call says who waits for whom: the rank that is furthest behind, if they differ at all.
StallDiagnosis FindFurthestBehind(const Reports& reports) {
  int last = -1;
  bool differ = reports.size() == 1;
  for (size_t rank = 0; rank < reports.size(); ++rank) {
    if (!reports[rank].snapshot.has_value()) continue;
    if (last < 0) last = static_cast<int>(rank);
    const Position &mine = reports[rank].snapshot->position,
                   &behind = reports[static_cast<size_t>(last)].snapshot->position;
    const int order = ComparePlaces(mine.place, behind.place, IsSameStage(mine, behind));
    differ |= order != 0;
    if (order < 0) last = static_cast<int>(rank);
  }
  if (last < 0) return {-1, "no rank has told where it is"};
  const Position& position = reports[static_cast<size_t>(last)].snapshot->position;
  if (differ) return {last, StrCat(Name(last, reports), " does not come forward in ", Describe(position))};
  return {-1, StrCat("all ", reports.size(), " ranks stand in ", Describe(position),
                     ", and none waits for a call of another: their transport or their devices do not come forward")};
}

std::string DescribeReport(const RankReport& report) {
  using Answer = RankReport::Answer;
  std::string text = report.answer == Answer::kCame      ? ""
                     : report.answer == Answer::kNone    ? "does not answer; "
                     : report.answer == Answer::kUnheard ? "cannot be reached; "
                                                         : "no process; ";
  if (!report.snapshot.has_value()) return StrCat(text, "where it was is not known");
  StrAppend(&text, Describe(report.snapshot->position));
  for (int i = 0; i < report.snapshot->num_communicators; ++i) {
    const CommunicatorRecord& record = report.snapshot->communicators[static_cast<size_t>(i)];
    if (record.inside != CommunicatorRecord::Inside::kNothing)
      StrAppend(&text, ", waiting in ", DescribeCall(record));
  }
  return StrCat(text, ", for ", HumanDuration(report.answer == Answer::kCame ? report.idle_s : report.silent_s));
}

}  // namespace

bool IsStalled(const std::vector<RankReport>& reports, const StallBounds& bounds) {
  bool all_idle = true, any_came = false;
  for (const RankReport& report : reports) {
    const Phase phase = report.snapshot.has_value() ? report.snapshot->position.place.phase : Phase::kStarting;
    if (phase == Phase::kEnded) continue;
    if (report.has_failed) return true;
    if (report.answer == RankReport::Answer::kNone && report.silent_s >= bounds.silence_s) return true;
    if (report.answer == RankReport::Answer::kNoProcess && report.silent_s >= bounds.no_process_s) return true;
    if (report.answer != RankReport::Answer::kCame) continue;
    any_came = true;
    all_idle &= report.idle_s >= bounds.IdleBoundOf(phase);
  }
  return any_came && all_idle;
}

StallDiagnosis DiagnoseStall(const std::vector<RankReport>& reports) {
  const std::map<uint64_t, Group> groups = GroupsOf(reports);
  const std::vector<Wait> waits = AllWaits(groups);
  std::optional<StallDiagnosis> found = FindSilent(reports, waits);
  if (!found.has_value()) found = FindMismatch(groups, reports);
  if (!found.has_value()) found = FindFailed(reports, waits);
  if (!found.has_value()) found = FindLast(reports, waits);
  if (!found.has_value()) found = FindSkipped(groups, reports);
  if (found.has_value()) return *found;
  return waits.empty() ? FindFurthestBehind(reports) : DescribeCircle(waits, reports);
}

std::string DescribeRanks(const std::vector<RankReport>& reports) {
  std::string text;
  for (size_t rank = 0; rank < reports.size(); ++rank) {
    StrAppend(&text, Name(static_cast<int>(rank), reports), ": ", DescribeReport(reports[rank]), "\n");
  }
  return text;
}

}  // namespace weft
