// Fills a struct from a ConfigNode tree by visiting its fields, and collects every mistake on the way.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config_tree.h"
#include "core/fields.h"
#include "core/status.h"

namespace weft {

// What reading a configuration found, besides the values.
struct ConfigReport {
  std::map<std::string, std::string> places;  // each key that was given a value: "optimizer.params.lr" -> "tiny.yaml:12"
  std::vector<std::string> notices;           // one line each, for the user: keys accepted without effect

  bool Has(std::string_view key) const;
  // "tiny.yaml:12: optimizer.params.lr", or the key alone where it was not given.
  std::string Where(std::string_view key) const;
};

class FieldReader : public FieldVisitor {
 public:
  explicit FieldReader(const ConfigNode& root);

  void Field(std::string_view name, bool& value, std::string_view help) override;
  void Field(std::string_view name, int64_t& value, std::string_view help) override;
  void Field(std::string_view name, double& value, std::string_view help) override;
  void Field(std::string_view name, std::string& value, std::string_view help) override;
  void Field(std::string_view name, std::vector<double>& value, std::string_view help) override;
  void Field(std::string_view name, std::vector<std::string>& value, std::string_view help) override;
  void Field(std::string_view name, std::optional<int64_t>& value, std::string_view help) override;
  void Field(std::string_view name, std::optional<double>& value, std::string_view help) override;
  void Field(std::string_view name, std::optional<bool>& value, std::string_view help) override;
  void Field(std::string_view name, std::optional<std::string>& value, std::string_view help) override;
  void Alias(std::string_view alias, std::string_view name) override;
  void Ignored(std::string_view name, std::string_view why) override;
  void Refused(std::string_view name, std::string_view why) override;
  void Fixed(std::string_view name, std::string_view value, std::string_view why) override;

  // After the visit: the report, or all mistakes.
  StatusOr<ConfigReport> Finish() &&;

 protected:
  void ChoiceIndex(std::string_view name, int& index, const std::vector<std::string_view>& names,
                   std::string_view help) override;
  bool Enter(std::string_view name, std::string_view help, bool optional, bool present) override;
  void Leave() override;

 private:
  struct Level {
    const ConfigNode* node;          // null where the section is absent
    std::string prefix;              // "optimizer.params."
    std::vector<std::string> known;  // the names of this section's fields and their aliases
    std::map<std::string, std::string> aliases;  // field -> its alias, where the file used the alias
  };
  struct Unknown {
    std::string prefix;
    std::string name;
    std::string place;
    std::vector<std::string> siblings;
  };

  // The node of a field in the present section; nullptr where absent. Marks the name as known.
  const ConfigNode* Take(std::string_view name);
  template <typename T>
  void Read(std::string_view name, T& value);
  template <typename T>
  void ReadOptional(std::string_view name, std::optional<T>& value);
  void Fail(const ConfigNode& node, std::string_view name, std::string_view message);
  void LeaveLevel();
  void ReportUnknown(const Unknown& unknown);

  std::vector<Level> levels_;
  std::vector<Unknown> unknown_;
  std::vector<std::string> all_keys_;  // every dotted key that the struct has
  std::vector<ConfigError> errors_;
  ConfigReport report_;
};

}  // namespace weft
