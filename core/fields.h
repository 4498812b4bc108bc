// Config fields: every settings struct lists its fields once, with unit and help, in a VisitFields method; that one
// list gives parsing, error messages with file:line and the nearest name, the resolved dump and the reference page.
//
//   struct CheckpointConfig {
//     int64_t every = 0;
//     void VisitFields(FieldVisitor& v) { v.Field("every", every, "steps between checkpoints; 0 means at the end only"); }
//   };
//
// Goals: no second list of keys; all errors at once. Not goals: includes, variables, references between keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  // `help` is one sentence with the unit, as printed by `weft inspect reference`.
  virtual void Field(std::string_view name, bool& value, std::string_view help) = 0;
  virtual void Field(std::string_view name, int64_t& value, std::string_view help) = 0;  // 5e8 and "1_000" are fine
  virtual void Field(std::string_view name, double& value, std::string_view help) = 0;
  virtual void Field(std::string_view name, std::string& value, std::string_view help) = 0;
  virtual void Field(std::string_view name, std::vector<int64_t>& value, std::string_view help) = 0;
  virtual void Field(std::string_view name, std::vector<double>& value, std::string_view help) = 0;
  virtual void Field(std::string_view name, std::vector<std::string>& value, std::string_view help) = 0;
  // An absent key leaves every kind of value as it was. DeepSpeed's "auto" and null mean absent too, but make an
  // optional nullopt; only a std::string keeps "auto" as a value of its own.
  virtual void Field(std::string_view name, std::optional<int64_t>& value, std::string_view help) = 0;
  virtual void Field(std::string_view name, std::optional<double>& value, std::string_view help) = 0;
  virtual void Field(std::string_view name, std::optional<bool>& value, std::string_view help) = 0;
  virtual void Field(std::string_view name, std::optional<std::string>& value, std::string_view help) = 0;

  // `alias` is another name of the field or section `name`, which follows; giving both is an error.
  virtual void Alias(std::string_view alias, std::string_view name) = 0;

  // An enum by its names, which are listed in the error when none fits; upper and lower case are alike. `Enum` is any
  // enum class whose values are 0..n-1 in the order of `names`.
  template <typename Enum>
  void Choice(std::string_view name, Enum& value, const std::vector<std::string_view>& names, std::string_view help) {
    int index = static_cast<int>(value);
    ChoiceIndex(name, index, names, help);
    value = static_cast<Enum>(index);
  }

  // A nested section: any struct with VisitFields(FieldVisitor&).
  template <typename Struct>
  void Section(std::string_view name, Struct& section, std::string_view help) {
    if (!Enter(name, help)) return;
    section.VisitFields(*this);
    Leave();
  }
  // A section whose mere presence means something.
  template <typename Struct>
  void Section(std::string_view name, std::optional<Struct>& section, std::string_view help) {
    if (!Enter(name, help, /*optional=*/true, section.has_value())) return;
    if (!section.has_value()) section.emplace();
    section->VisitFields(*this);
    Leave();
  }

  // A list of sections of one kind; its dotted paths count them from 0, as in "data.sources.0.weight". A list that is
  // given says how many there are.
  template <typename Struct>
  void Sections(std::string_view name, std::vector<Struct>& sections, std::string_view help) {
    const std::optional<size_t> size = EnterList(name, help, sections.size());
    if (!size.has_value()) return;
    sections.resize(*size);
    for (size_t i = 0; i < sections.size(); ++i) {
      EnterItem(i);
      sections[i].VisitFields(*this);
      Leave();
    }
    Leave();
  }

  // A key that DeepSpeed files hold and that changes nothing here: accepted, and named in one line at start.
  virtual void Ignored(std::string_view name, std::string_view why) = 0;
  // A key that asks for something weft cannot honour: an error whenever it is present and not off. Off are false, null,
  // 0, "none", "auto", a section that says `enabled: false`, and a section or list that holds nothing but what is off.
  virtual void Refused(std::string_view name, std::string_view why) = 0;
  // A key that weft takes with one value only, in YAML ("true", "1", "fp32"): an error when another one is given.
  virtual void Fixed(std::string_view name, std::string_view value, std::string_view why) = 0;

 protected:
  virtual void ChoiceIndex(std::string_view name, int& index, const std::vector<std::string_view>& names,
                           std::string_view help) = 0;
  // True when the visitor wants the section's fields; then Leave follows. A reader returns false for an absent
  // optional section; `present` tells a dump whether an optional section has a value.
  virtual bool Enter(std::string_view name, std::string_view help, bool optional = false, bool present = true) = 0;
  virtual void Leave() = 0;
  // How many sections to visit in a list that has `size` of them; nullopt leaves it as it is. Each is entered by its
  // number and left; then the list is left.
  virtual std::optional<size_t> EnterList(std::string_view name, std::string_view help, size_t size) = 0;
  virtual void EnterItem(size_t index) = 0;
};

}  // namespace weft
