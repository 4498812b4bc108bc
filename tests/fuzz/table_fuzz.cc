// Fuzzes specifications of tables: reading, writing, and rendering a row by them.
#include "core/check.h"
#include "data/jinja/json_value.h"
#include "data/table.h"
#include "tests/fuzz/mutate.h"

namespace weft {
namespace {

bool FuzzOne(const std::string& input) {
  StatusOr<TableSpec> spec = TableSpec::Parse(input, "table.yaml");
  if (!spec.ok()) return false;
  const StatusOr<TableSpec> again = TableSpec::Parse(spec->ToYaml(), "again");
  WEFT_CHECK_OK(again);
  WEFT_CHECK(again->ToYaml() == spec->ToYaml());
  if (!spec->fitted_rows.has_value()) return true;
  const StatusOr<std::unique_ptr<const Table>> table = Table::Create(*std::move(spec), "table.yaml");
  if (!table.ok()) return false;
  static const jinja::Value row = *jinja::ParseJsonValue(R"({"age": 7, "pulse": "88", "notes": "n", "level": "low"})", "row");
  return (*table)->Render(row).ok() && (*table)->RenderPrompt(row).ok();
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) { return weft::FuzzMain(argc, argv, weft::FuzzOne); }
