// A scanner of C++ text that knows comments, literals and braces (see function_lengths.h).
#include "tests/structure/function_lengths.h"

#include <algorithm>
#include <cctype>
#include <regex>

namespace weft::structure {
namespace {

bool IsWordChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Where the literal or comment that starts at `i` ends (one past it); `i` itself where none starts there.
size_t SkipNonCode(const std::string& text, size_t i) {
  const auto until = [&](std::string_view end) {
    const size_t found = text.find(end, i + 2);
    return found == std::string::npos ? text.size() : found + end.size();
  };
  if (text.compare(i, 2, "//") == 0) return std::min(text.find('\n', i), text.size());
  if (text.compare(i, 2, "/*") == 0) return until("*/");
  if (text.compare(i, 2, "R\"") == 0 && (i == 0 || !IsWordChar(text[i - 1]))) {
    return until(")" + text.substr(i + 2, text.find('(', i) - i - 2) + "\"");
  }
  const bool is_digit_separator = text[i] == '\'' && i > 0 && IsWordChar(text[i - 1]);
  if ((text[i] != '"' && text[i] != '\'') || is_digit_separator) return i;
  size_t end = i + 1;
  while (end < text.size() && text[end] != text[i] && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
  return std::min(end + 1, text.size());
}

void Blank(std::string* text, size_t begin, size_t end) {
  for (size_t i = begin; i < end && i < text->size(); ++i) {
    if ((*text)[i] != '\n') (*text)[i] = ' ';
  }
}

// Blanks the directive whose '#' is at `i`, with its continuation lines and, for #else, all up to its #endif.
void BlankDirective(std::string* text, size_t i) {
  static const std::regex kConditional(R"(\n[ \t]*#[ \t]*(if|endif))");
  size_t end = i;
  do {
    end = std::min(text->find('\n', end + 1), text->size());
  } while (end < text->size() && (*text)[end - 1] == '\\');
  if (std::regex_search(text->begin() + i, text->begin() + end, std::regex("^#[ \t]*(else|elif)"))) {
    int depth = 1;
    for (auto it = std::sregex_iterator(text->begin() + end, text->end(), kConditional);
         it != std::sregex_iterator() && depth > 0; ++it) {
      depth += (*it)[1] == "if" ? 1 : -1;
      if (depth == 0) end += it->position();
    }
  }
  Blank(text, i, end);
}

enum class Scope { kNamespaceOrType, kFunction, kOther };

// What the brace opens whose preceding statement text is `header`, at namespace or class scope.
Scope Classify(const std::string& header) {
  static const std::regex kType(R"(^\s*(template\s*<.*>\s*)?(\[\[.*\]\]\s*)?(inline\s+)?(namespace|class|struct|union|enum|extern)\b)");
  static const std::regex kInitializerList(R"(\)\s*(noexcept\s*)?:[^:])");
  const bool has_parenthesis = header.find('(') != std::string::npos;
  if (std::regex_search(header, kType) && !has_parenthesis) return Scope::kNamespaceOrType;
  if (!has_parenthesis) return Scope::kOther;
  const size_t last = header.find_last_not_of(" \n\t");
  const bool is_member_initializer =
      std::regex_search(header, kInitializerList) && (IsWordChar(header[last]) || header[last] == '>');
  return is_member_initializer ? Scope::kOther : Scope::kFunction;
}

std::string NameBeforeParenthesis(const std::string& header) {
  size_t end = header.find('(');
  while (end > 0 && std::isspace(static_cast<unsigned char>(header[end - 1]))) --end;
  size_t begin = end;
  while (begin > 0 && (IsWordChar(header[begin - 1]) || header[begin - 1] == ':' || header[begin - 1] == '~')) --begin;
  return header.substr(begin, end - begin);
}

struct OpenBrace {
  Scope scope;
  Function function;   // for kFunction: what is known so far
  std::string header;  // for kOther: the statement goes on after the brace closes
  int header_line;
};

}  // namespace

std::string BlankNonCode(const std::string& text) {
  std::string code = text;
  bool at_line_start = true;
  for (size_t i = 0; i < code.size();) {
    const size_t end = SkipNonCode(code, i);
    if (end > i) {
      Blank(&code, i, end);
      i = end;
      continue;
    }
    if (code[i] == '#' && at_line_start) BlankDirective(&code, i);
    at_line_start = code[i] == '\n' || (at_line_start && code[i] == ' ');
    ++i;
  }
  return code;
}

std::vector<Function> FunctionsOf(const SourceFile& file) {
  std::vector<Function> functions;
  std::vector<OpenBrace> open;
  std::string header;  // the statement so far, at namespace or class scope
  int line = 1, header_line = 1;
  for (const char c : BlankNonCode(file.text)) {
    const bool in_function = !open.empty() && open.back().scope == Scope::kFunction;
    if (c == '{') {
      const Scope scope = in_function ? Scope::kFunction : Classify(header);
      OpenBrace brace = {scope, {"", 0, 0}, "", header_line};
      if (!in_function && scope == Scope::kFunction) brace.function = {NameBeforeParenthesis(header), header_line, 0};
      if (scope == Scope::kOther) brace.header = header + "{}";
      open.push_back(brace);
      header.clear();
    } else if (c == '}' && !open.empty()) {
      OpenBrace closed = open.back();
      open.pop_back();
      header = closed.scope == Scope::kOther ? closed.header : "";
      header_line = closed.header_line;
      closed.function.num_lines = line - closed.function.line + 1;
      if (closed.function.line > 0) functions.push_back(closed.function);
    } else if (c == ';') {
      header.clear();
    } else if (!in_function && (!header.empty() || !std::isspace(static_cast<unsigned char>(c)))) {
      if (header.empty()) header_line = line;
      header += c;
    }
    if (c == '\n') ++line;
  }
  return functions;
}

}  // namespace weft::structure
