// Fills a struct from a ConfigTree by visiting its fields, and collects every mistake on the way.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config_tree.h"
#include "core/fields.h"
#include "core/status.h"

namespace weft {

// What reading a configuration found, besides the values.
struct ConfigReport {
  std::map<std::string, ConfigPlace> places;  // of each key that was given: "optimizer.params.lr" -> tiny.yaml:12
  std::set<std::string> autos;                // keys whose value is DeepSpeed's "auto", taken as not given
  std::vector<std::string> notices;           // one line each, for the user: what was accepted without effect

  bool Has(const std::string& key) const { return places.contains(key); }
  // Of a key, or of the nearest section around it that was given; empty where neither was.
  ConfigPlace PlaceOf(const std::string& key) const;
};

class FieldReader : public FieldVisitor {
 public:
  explicit FieldReader(ConfigTree tree);

  void Field(std::string_view name, bool& value, std::string_view help) override;
  void Field(std::string_view name, int64_t& value, std::string_view help) override;
  void Field(std::string_view name, double& value, std::string_view help) override;
  void Field(std::string_view name, std::string& value, std::string_view help) override;
  void Field(std::string_view name, std::vector<int64_t>& value, std::string_view help) override;
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
  std::optional<size_t> EnterList(std::string_view name, std::string_view help, size_t size) override;
  void EnterItem(size_t index) override;

 private:
  // A section that is being visited.
  struct Level {
    const ConfigNode* node;                      // null where the section is absent
    std::string prefix;                          // "optimizer.params."
    std::vector<std::string> known;              // keys of this section, aliases and refused ones among them
    std::vector<std::string> fields;             // those of them that have a value
    std::map<std::string, std::string> aliases;  // field -> the alias that was written in its stead
  };
  // A key that no field of its section asked for. Reported at the end, when every key of the struct is known.
  struct UnknownKey {
    ConfigPlace place;
    std::string prefix;
    std::string name;
    std::vector<std::string> known;  // as in Level
    std::vector<std::string> fields;
  };

  // What is written for a key, null where nothing is; from now on the name is known.
  const ConfigNode* Take(std::string_view name);
  // The same for a field or section.
  const ConfigNode* TakeField(std::string_view name);
  // True for null and "auto"; a notice tells of the latter.
  bool SaysNothing(const ConfigNode& node, std::string_view name);
  template <typename T>
  void Read(std::string_view name, T& value);
  template <typename T>
  void ReadOptional(std::string_view name, std::optional<T>& value);
  template <typename T>
  void ReadList(std::string_view name, std::vector<T>& value);
  std::string Path(std::string_view name) const { return StrCat(levels_.back().prefix, name); }
  void Fail(const ConfigNode& node, std::string_view name, std::string_view message);
  void CloseLevel();
  void ReportUnknown(const UnknownKey& unknown);

  ConfigTree tree_;
  std::vector<Level> levels_;
  std::vector<UnknownKey> unknown_;
  std::set<std::string> listed_;         // prefixes of the sections whose fields an error has listed
  std::vector<std::string> all_fields_;  // dotted, of the whole struct
  ConfigReport report_;
};

}  // namespace weft
