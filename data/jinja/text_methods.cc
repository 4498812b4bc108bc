// The methods of str that templates call: 'a'.strip(), 'a,b'.split(',').
#include <algorithm>

#include "data/jinja/function.h"
#include "data/jinja/letter_case.h"
#include "data/jinja/printing.h"
#include "data/jinja/text_editing.h"
#include "data/utf8.h"

namespace weft::jinja {
namespace {

const Text& Self(const Invocation& call) { return *call.self.AsText(); }

// The first argument as characters or a separator; nothing for none.
StatusOr<std::optional<std::string_view>> OptionalText(const Invocation& call) {
  if (!call.Has(0) || call.args[0].is_none()) return std::nullopt;
  WEFT_ASSIGN_OR_RETURN(const Text* text, call.TextArg(0));
  return std::string_view(text->bytes());
}

template <Sides sides>
StatusOr<Value> StripMethod(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const std::optional<std::string_view> characters, OptionalText(call));
  return Value(Strip(Self(call), characters, sides));
}

StatusOr<Value> TextList(std::vector<Text> parts, Budget& budget, bool is_tuple = false) {
  std::vector<Value> items;
  WEFT_RETURN_IF_ERROR(budget.Allocate(parts.size() * (sizeof(Text) + sizeof(Value))));
  for (Text& part : parts) items.emplace_back(std::move(part));
  return MakeList(std::move(items), is_tuple);
}

template <std::vector<Text> (*split)(const Text&, std::optional<std::string_view>, int64_t)>
StatusOr<Value> SplitMethod(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const std::optional<std::string_view> separator, OptionalText(call));
  if (separator.has_value() && separator->empty()) return UserError("the separator is empty");
  WEFT_ASSIGN_OR_RETURN(const int64_t max_splits, call.IntArg(1, -1));
  return TextList(split(Self(call), separator, max_splits), call.budget);
}

StatusOr<Value> SplitLinesMethod(Invocation& call) { return TextList(SplitLines(Self(call)), call.budget); }

// Whether the text begins (ends) with the argument or, where that is a tuple, with one of its items.
template <bool at_start>
StatusOr<Value> AffixTest(Invocation& call) {
  std::vector<Value> affixes = {call.args[0]};
  if (call.args[0].AsList() != nullptr && call.args[0].AsList()->is_tuple) affixes = call.args[0].AsList()->items;
  for (const Value& affix : affixes) {
    if (affix.AsText() == nullptr) return UserError("expected a str or a tuple of them, found ", affix.TypeName());
    const std::string& bytes = affix.AsText()->bytes();
    if (at_start ? Self(call).bytes().starts_with(bytes) : Self(call).bytes().ends_with(bytes)) return Value(true);
  }
  return Value(false);
}

template <bool at_start>
StatusOr<Value> RemoveAffix(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const Text* affix, call.TextArg(0));
  const Text& text = Self(call);
  if (at_start && text.bytes().starts_with(affix->bytes())) return Value(text.Sub(affix->size(), text.size()));
  if (!at_start && text.bytes().ends_with(affix->bytes())) return Value(text.Sub(0, text.size() - affix->size()));
  return call.self;
}

StatusOr<Value> ReplaceMethod(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const Text* old_text, call.TextArg(0));
  WEFT_ASSIGN_OR_RETURN(const Text* new_text, call.TextArg(1));
  WEFT_ASSIGN_OR_RETURN(const int64_t count, call.IntArg(2, -1));
  WEFT_ASSIGN_OR_RETURN(Text result, Replace(Self(call), old_text->bytes(), *new_text, count, call.budget));
  return Value(std::move(result));
}

// The index in code points of the first (last) occurrence, or -1.
template <bool from_left>
StatusOr<Value> FindMethodOf(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const Text* sought, call.TextArg(0));
  const std::string& bytes = Self(call).bytes();
  const size_t at = from_left ? bytes.find(sought->bytes()) : bytes.rfind(sought->bytes());
  if (at == std::string::npos) return Value(int64_t{-1});
  return Value(static_cast<int64_t>(CountCodePoints(std::string_view(bytes).substr(0, at))));
}

StatusOr<Value> IndexMethod(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(Value index, FindMethodOf<true>(call));
  if (*index.AsInt() < 0) return UserError("the text is not found");
  return index;
}

StatusOr<Value> CountMethod(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const Text* sought, call.TextArg(0));
  if (sought->empty()) return Value(static_cast<int64_t>(CountCodePoints(Self(call).bytes()) + 1));
  const std::string& bytes = Self(call).bytes();
  int64_t count = 0;
  for (size_t at = 0; (at = bytes.find(sought->bytes(), at)) != std::string::npos; at += sought->size()) ++count;
  return Value(count);
}

template <Text (*change)(const Text&)>
StatusOr<Value> CaseMethod(Invocation& call) {
  return Value(change(Self(call)));
}

// Whether there are code points and all are of a kind.
template <bool (*is_kind)(char32_t)>
StatusOr<Value> AllAre(Invocation& call) {
  const std::string& bytes = Self(call).bytes();
  for (size_t i = 0; i < bytes.size();) {
    const CodePoint c = CodePointAt(bytes, i);
    if (!is_kind(c.value)) return Value(false);
    i += c.length;
  }
  return Value(!bytes.empty());
}

bool IsAlphanumeric(char32_t c) { return IsAlpha(c) || IsDigit(c); }

// Whether there are letters with case and all are of it.
template <bool (*is_case)(char32_t)>
StatusOr<Value> CaseTest(Invocation& call) {
  const std::string& bytes = Self(call).bytes();
  bool has_cased = false;
  for (size_t i = 0; i < bytes.size();) {
    const CodePoint c = CodePointAt(bytes, i);
    if (IsCased(c.value) && !is_case(c.value)) return Value(false);
    has_cased |= IsCased(c.value);
    i += c.length;
  }
  return Value(has_cased);
}

StatusOr<Value> JoinMethod(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, ItemsOf(call.args[0]));
  Text joined;
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].AsText() == nullptr) return UserError("item ", i, " is no str but ", items[i].TypeName());
    WEFT_RETURN_IF_ERROR(call.budget.Allocate(items[i].shallow_bytes() + Self(call).size()));
    if (i > 0) joined.Append(Self(call));
    joined.Append(*items[i].AsText());
  }
  return Value(std::move(joined));
}

// (before, separator, after); (text, '', '') where it is not found.
StatusOr<Value> PartitionMethod(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const Text* separator, call.TextArg(0));
  if (separator->empty()) return UserError("the separator is empty");
  const Text& text = Self(call);
  const size_t at = text.bytes().find(separator->bytes());
  if (at == std::string::npos) return TextList({text, Text(), Text()}, call.budget, /*is_tuple=*/true);
  const size_t end = at + separator->size();
  return TextList({text.Sub(0, at), text.Sub(at, end), text.Sub(end, text.size())}, call.budget, /*is_tuple=*/true);
}

}  // namespace

const Builtin* FindTextMethod(std::string_view name) {
  static const std::vector<Builtin> kMethods = {
      {"strip", {"chars"}, 0, StripMethod<Sides::kBoth>},
      {"lstrip", {"chars"}, 0, StripMethod<Sides::kLeft>},
      {"rstrip", {"chars"}, 0, StripMethod<Sides::kRight>},
      {"split", {"sep", "maxsplit"}, 0, SplitMethod<Split>},
      {"rsplit", {"sep", "maxsplit"}, 0, SplitMethod<SplitFromRight>},
      {"splitlines", {}, 0, SplitLinesMethod},
      {"partition", {"sep"}, 1, PartitionMethod},
      {"startswith", {"prefix"}, 1, AffixTest<true>},
      {"endswith", {"suffix"}, 1, AffixTest<false>},
      {"removeprefix", {"prefix"}, 1, RemoveAffix<true>},
      {"removesuffix", {"suffix"}, 1, RemoveAffix<false>},
      {"replace", {"old", "new", "count"}, 2, ReplaceMethod},
      {"find", {"sub"}, 1, FindMethodOf<true>},
      {"rfind", {"sub"}, 1, FindMethodOf<false>},
      {"index", {"sub"}, 1, IndexMethod},
      {"count", {"sub"}, 1, CountMethod},
      {"join", {"iterable"}, 1, JoinMethod},
      {"upper", {}, 0, CaseMethod<UpperCase>},
      {"lower", {}, 0, CaseMethod<LowerCase>},
      {"title", {}, 0, CaseMethod<TitleCase>},
      {"capitalize", {}, 0, CaseMethod<CapitalizeCase>},
      {"isspace", {}, 0, AllAre<IsPythonSpace>},
      {"isalpha", {}, 0, AllAre<IsAlpha>},
      {"isdigit", {}, 0, AllAre<IsDigit>},
      {"isalnum", {}, 0, AllAre<IsAlphanumeric>},
      {"isupper", {}, 0, CaseTest<IsUpper>},
      {"islower", {}, 0, CaseTest<IsLower>},
  };
  return FindIn(kMethods, name);
}

}  // namespace weft::jinja
