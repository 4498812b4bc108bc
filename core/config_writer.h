// Writes a settings struct from the same visit that reads it: as YAML that reads back to equal values (a run's
// config.yaml), and as a reference page in Markdown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.h"

namespace weft {

// Hands every field to Write() as YAML text; the rest is up to the kind of writer.
class FieldWriter : public FieldVisitor {
 public:
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

 protected:
  void ChoiceIndex(std::string_view name, int& index, const std::vector<std::string_view>& names,
                   std::string_view help) override;
  // `type` is for people: "integer", "list of numbers", "auto, cpu or cuda". `value` is YAML, null for an unset
  // optional.
  virtual void Write(std::string_view name, std::string_view type, std::string_view value, std::string_view help) = 0;
};

// Keys that are ignored or refused, or another name of a field, hold no value: they are left out.
class YamlWriter : public FieldWriter {
 public:
  const std::string& text() const { return text_; }
  void Alias(std::string_view, std::string_view) override {}
  void Ignored(std::string_view, std::string_view) override {}
  void Refused(std::string_view, std::string_view) override {}
  void Fixed(std::string_view, std::string_view, std::string_view) override {}

 protected:
  void Write(std::string_view name, std::string_view type, std::string_view value, std::string_view help) override;
  bool Enter(std::string_view name, std::string_view help, bool optional, bool present) override;
  void Leave() override;
  std::optional<size_t> EnterList(std::string_view name, std::string_view help, size_t size) override;
  void EnterItem(size_t index) override;

 private:
  // What has been opened and not left.
  struct Open {
    enum Kind { kSection, kList, kItem } kind;
    size_t begin;  // of what is in it, in text_
  };
  std::string text_;
  std::vector<Open> open_;
};

// A row for each key: name, type, default, meaning; keys without a value say what becomes of them.
class ReferenceWriter : public FieldWriter {
 public:
  const std::string& text() const { return text_; }
  void Alias(std::string_view alias, std::string_view name) override;
  void Ignored(std::string_view name, std::string_view why) override;
  void Refused(std::string_view name, std::string_view why) override;
  void Fixed(std::string_view name, std::string_view value, std::string_view why) override;

 protected:
  void Write(std::string_view name, std::string_view type, std::string_view value, std::string_view help) override;
  bool Enter(std::string_view name, std::string_view help, bool optional, bool present) override;
  void Leave() override;
  std::optional<size_t> EnterList(std::string_view name, std::string_view help, size_t size) override;
  void EnterItem(size_t index) override;

 private:
  void Row(std::string_view name, std::string_view type, std::string_view value, std::string_view help);

  std::string text_ = "| key | type | default | meaning |\n|---|---|---|---|\n";
  std::vector<std::string> sections_;
};

// Takes a copy, because a visit may change what it visits.
template <typename Struct>
std::string WriteConfig(Struct root) {
  YamlWriter writer;
  root.VisitFields(writer);
  return writer.text();
}

// The reference of a struct, with the defaults that it is constructed with.
template <typename Struct>
std::string WriteConfigReference() {
  Struct root;
  ReferenceWriter writer;
  root.VisitFields(writer);
  return writer.text();
}

}  // namespace weft
