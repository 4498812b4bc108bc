// Shares and comparison of tallies (see call_agreement.h).
#include "parallel/call_agreement.h"

#include <cstring>
#include <map>
#include <vector>

#include "core/check.h"
#include "parallel/record_text.h"

namespace weft {
namespace {

// What one rank says of one communicator. Plain bytes.
struct Statement {
  uint64_t id;
  char name[sizeof(CommunicatorRecord::name)];
  CallTally tally;
};

std::string PackStatements(const RankRecord& record) {
  std::string bytes;
  for (int i = 0; i < record.num_communicators(); ++i) {
    const RankRecord::Calls& calls = record.communicator(i);
    Statement statement = {.id = calls.id(), .name = {}, .tally = calls.tally()};
    calls.name().copy(statement.name, sizeof(statement.name) - 1);
    bytes.append(reinterpret_cast<const char*>(&statement), sizeof(statement));
  }
  return bytes;
}

struct Member {
  size_t rank;  // of the job
  Statement statement;
};

// By the communicators' ids, members in order of rank.
std::map<uint64_t, std::vector<Member>> GroupsOf(const std::vector<std::string>& all) {
  std::map<uint64_t, std::vector<Member>> groups;
  for (size_t rank = 0; rank < all.size(); ++rank) {
    for (size_t at = 0; at + sizeof(Statement) <= all[rank].size(); at += sizeof(Statement)) {
      Member member = {.rank = rank, .statement = {}};
      std::memcpy(&member.statement, all[rank].data() + at, sizeof(Statement));
      groups[member.statement.id].push_back(member);
    }
  }
  return groups;
}

int NumAgreeing(const Member& member, const std::vector<Member>& group) {
  int count = 0;
  for (const Member& other : group) count += other.statement.tally.digest == member.statement.tally.digest ? 1 : 0;
  return count;
}

std::string Describe(const Member& member) {
  const CallTally& tally = member.statement.tally;
  return StrCat("rank ", member.rank, " has made ", tally.num_calls, " of ", tally.num_elements, " elements in all, the last ",
                DescribeCall(tally.last));
}

// The fewest that agree are wrong; where they are half of the group, either half may be.
Status CompareGroup(const std::vector<Member>& group, int64_t step) {
  const Member *odd = &group.front(), *other = nullptr;
  for (const Member& member : group) {
    if (NumAgreeing(member, group) < NumAgreeing(*odd, group)) odd = &member;
  }
  for (const Member& member : group) {
    if (other == nullptr && member.statement.tally.digest != odd->statement.tally.digest) other = &member;
  }
  if (other == nullptr) return absl::OkStatus();
  const std::string name = odd->statement.name;
  const bool is_half = 2 * NumAgreeing(*odd, group) == static_cast<int>(group.size());
  const std::string who = is_half ? StrCat("ranks ", odd->rank, " and ", other->rank, " have made different collectives on ", name)
                                  : StrCat("rank ", odd->rank, " has made other collectives than the others of ", name);
  return absl::InternalError(StrCat(who, " by step ", step, ", so what they have computed is wrong: ", Describe(*odd), "; ",
                                    Describe(*other), ". This is a mistake of weft's; what was saved before is sound"));
}

}  // namespace

int64_t CallImbalance(const RankRecord& record) {
  int64_t imbalance = 0;
  for (int i = 0; i < record.num_communicators(); ++i) {
    const RankRecord::Calls& calls = record.communicator(i);
    const auto digest = static_cast<int64_t>(calls.tally().digest);  // 32 bits: no sum over any job overflows
    imbalance += calls.rank() == 0 ? (calls.size() - 1) * digest : -digest;
  }
  return imbalance;
}

Status DescribeCallDisagreement(Communicator& world, const RankRecord& record) {
  const std::vector<std::string> all = world.AllGatherBytes(PackStatements(record));
  for (const auto& [id, group] : GroupsOf(all)) {
    WEFT_RETURN_IF_ERROR(CompareGroup(group, record.position().place.step));
  }
  return absl::InternalError("the ranks' shares of the check of their calls do not add up, but their calls agree");
}

}  // namespace weft
