// The printing of actions and plans (see action.h).
#include "parallel/action.h"

#include "core/str_cat.h"

namespace weft {

bool IsCompute(ActionKind kind) { return kind <= ActionKind::kBackwardWeight; }

bool IsTransfer(ActionKind kind) { return kind >= ActionKind::kSendActivation && kind <= ActionKind::kReceiveGradient; }

std::string ToString(const Action& action) {
  static constexpr const char* kLetters[] = {"F", "B", "I", "W", "A", "A", "D", "D", "G", "X", "R", "T", "V"};
  const ActionKind kind = action.kind;
  const bool sends = kind == ActionKind::kSendActivation || kind == ActionKind::kSendGradient;
  std::string text = kLetters[static_cast<size_t>(kind)];
  if (kind < ActionKind::kReduceTied) StrAppend(&text, action.group);
  if (IsCompute(kind) || IsTransfer(kind)) StrAppend(&text, ".", action.micro_batch);
  if (IsTransfer(kind)) StrAppend(&text, sends ? ">" : "<", action.peer);
  return text;
}

std::string ToString(const Plan& plan) {
  std::string text;
  for (const Action& action : plan) StrAppend(&text, text.empty() ? "" : " ", ToString(action));
  return text;
}

}  // namespace weft
