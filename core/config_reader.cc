// Files and overrides to a ConfigTree through yaml-cpp's events (see config_reader.h).
//
// The events, not yaml-cpp's own nodes, because only they show duplicate keys, aliases and quotes, and because the
// builder can stop a hostile file early. yaml-cpp reports by exceptions; none leaves this file.
#include "core/config_reader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <filesystem>
#include <optional>
#include <sstream>
#include <system_error>
#include <unordered_map>

#include "core/file.h"
#include "core/utf8.h"

namespace weft {
namespace {

// Far above any configuration, far below what hurts.
constexpr uintmax_t kMaxFileBytes = 1 << 20;
constexpr size_t kMaxDepth = 32;
constexpr int kMaxValues = 20000;

// Builds the tree from events. A mistake that leaves the rest readable goes to the tree's errors; others throw, as
// yaml-cpp does.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string source, bool has_lines, ConfigTree& tree)
      : source_(std::move(source)), has_lines_(has_lines), tree_(tree) {}

  ConfigNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++num_documents_ > 1) throw YAML::ParserException(mark, "a second document begins here; one is expected");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Add(NodeAt(mark, ConfigNode::Kind::kNull)); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw YAML::ParserException(mark, "aliases (*name) are not supported; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
    RefuseTag(mark, tag);
    ConfigNode node = NodeAt(mark, ConfigNode::Kind::kScalar);
    node.text = value;
    node.quoted = tag == "!";
    Add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, ConfigNode::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    Open(mark, tag, ConfigNode::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct OpenNode {
    ConfigNode node;
    bool has_key = false;  // of a map: the next value belongs to `key`
    ConfigNode key;
    std::unordered_map<std::string, int> lines;  // of the keys so far
  };

  ConfigPlace PlaceOf(const YAML::Mark& mark) const { return {source_, has_lines_ ? mark.line + 1 : 0}; }

  ConfigNode NodeAt(const YAML::Mark& mark, ConfigNode::Kind kind) {
    if (++num_values_ > kMaxValues) throw YAML::ParserException(mark, StrCat("more than ", kMaxValues, " values"));
    return ConfigNode{.kind = kind, .place = PlaceOf(mark)};
  }

  static void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw YAML::ParserException(mark, StrCat("tags (", tag, ") are not supported"));
  }

  void Open(const YAML::Mark& mark, const std::string& tag, ConfigNode::Kind kind) {
    RefuseTag(mark, tag);
    if (open_.size() >= kMaxDepth)
      throw YAML::ParserException(mark, StrCat("nested deeper than ", kMaxDepth, " levels"));
    if (!open_.empty() && open_.back().node.kind == ConfigNode::Kind::kMap && !open_.back().has_key) {
      throw YAML::ParserException(mark, "expected a name as key");
    }
    open_.emplace_back();
    open_.back().node = NodeAt(mark, kind);
  }

  void Close() {
    ConfigNode node = std::move(open_.back().node);
    open_.pop_back();
    Add(std::move(node));
  }

  void Add(ConfigNode child) {
    if (open_.empty()) {
      root_ = std::move(child);
    } else if (open_.back().node.kind == ConfigNode::Kind::kList) {
      open_.back().node.items.push_back(std::move(child));
    } else if (!open_.back().has_key) {
      open_.back().has_key = true;
      open_.back().key = std::move(child);
    } else {
      AddEntry(open_.back(), std::move(child));
    }
  }

  void AddEntry(OpenNode& map, ConfigNode value) {
    map.has_key = false;
    const auto [first, is_new] = map.lines.emplace(map.key.text, map.key.place.line);
    if (is_new) {
      value.place = map.key.place;  // a section is where its name is
      map.node.entries.emplace_back(map.key.text, std::move(value));
      return;
    }
    const std::string where = has_lines_ ? StrCat("; it is in line ", first->second, " already") : "";
    tree_.Fail(map.key.place, StrCat(PathTo(map.key.text), ": given twice", where));
  }

  // The dotted path of a key of the innermost open map.
  std::string PathTo(const std::string& key) const {
    std::string path;
    for (size_t i = 0; i + 1 < open_.size(); ++i) {
      if (open_[i].has_key) StrAppend(&path, open_[i].key.text, ".");
    }
    return path + key;
  }

  const std::string source_;
  const bool has_lines_;
  ConfigTree& tree_;
  int num_documents_ = 0;
  int num_values_ = 0;
  std::vector<OpenNode> open_;
  ConfigNode root_;
};

// Bytes that YAML forbids, and that would garble a message.
bool HasControlCharacters(std::string_view text) {
  for (const char c : text) {
    if ((c >= 0 && c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f) return true;
  }
  return false;
}

// nullopt, with an error, where the text is not YAML.
std::optional<ConfigNode> ParseYaml(const std::string& text, const std::string& source, bool has_lines,
                                    ConfigTree& tree) {
  if (!IsUtf8(text)) {
    tree.Fail({source}, "is not UTF-8 text");
    return std::nullopt;
  }
  if (HasControlCharacters(text)) {
    tree.Fail({source}, "holds control characters");
    return std::nullopt;
  }
  TreeBuilder builder(source, has_lines, tree);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    const int line = has_lines && !e.mark.is_null() ? e.mark.line + 1 : 0;
    tree.Fail({source, line}, StrCat("is not YAML or JSON that weft reads: ", e.msg));
    return std::nullopt;
  }
  return builder.TakeRoot();
}

StatusOr<std::string> ReadBoundedFile(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_type type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::regular && std::filesystem::file_size(path, error) > kMaxFileBytes) {
    return UserError(path, ": has more than ", kMaxFileBytes, " bytes, which no configuration has");
  }
  if (type == std::filesystem::file_type::fifo || type == std::filesystem::file_type::character) {
    return UserError(path, " is not a regular file");
  }
  return ReadFile(path);
}

// nullopt, with an error, where the text has no section of settings.
std::optional<ConfigNode> ParseConfigText(const std::string& text, const std::string& path, ConfigTree& tree) {
  std::optional<ConfigNode> root = ParseYaml(text, path, /*has_lines=*/true, tree);
  if (!root.has_value() || root->kind == ConfigNode::Kind::kMap) return root;
  const bool is_empty = root->kind == ConfigNode::Kind::kNull;
  tree.Fail({path}, StrCat("expected keys and values at the top, got ", is_empty ? "nothing" : root->Describe()));
  return std::nullopt;
}

std::optional<ConfigNode> ReadConfigFile(const std::string& path, ConfigTree& tree) {
  const StatusOr<std::string> text = ReadBoundedFile(path);
  if (text.ok()) return ParseConfigText(*text, path, tree);
  tree.Fail({}, std::string(text.status().message()));  // it names the path
  return std::nullopt;
}

void ApplyOverride(const std::string& text, ConfigTree& tree) {
  const std::string source = StrCat("--set ", text);
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    tree.Fail({source}, "expected a key, '=' and a value, as in a.b=c");
    return;
  }
  std::optional<ConfigNode> value = ParseYaml(text.substr(equals + 1), source, /*has_lines=*/false, tree);
  if (!value.has_value()) return;
  value->place = {source};
  OverrideConfig(tree, std::string_view(text).substr(0, equals), *std::move(value));
}

}  // namespace

StatusOr<ConfigTree> ParseConfigTree(const std::string& text, const std::string& name) {
  ConfigTree tree;
  std::optional<ConfigNode> root = ParseConfigText(text, name, tree);
  if (!root.has_value()) return AsStatus(tree.errors);
  tree.root = *std::move(root);
  return tree;
}

StatusOr<ConfigTree> ReadConfigTree(const ConfigSources& sources) {
  ConfigTree tree;
  std::optional<ConfigNode> root = ReadConfigFile(sources.path, tree);
  std::optional<ConfigNode> deepspeed = ConfigNode{};
  if (!sources.deepspeed_path.empty()) deepspeed = ReadConfigFile(sources.deepspeed_path, tree);
  if (!root.has_value() || !deepspeed.has_value()) return AsStatus(tree.errors);
  tree.root = *std::move(root);
  MergeConfig(tree, *deepspeed);
  for (const std::string& text : sources.overrides) ApplyOverride(text, tree);
  return tree;
}

}  // namespace weft
