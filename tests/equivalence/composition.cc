// The compositions of the equivalence matrix (see composition.h).
#include "tests/equivalence/composition.h"

#include "core/str_cat.h"
#include "tests/equivalence/pairwise_cover.h"

namespace weft {
namespace {

const std::vector<MeshShape> kMeshes = {{.dp = 2}, {.dp = 3}, {.tp = 2}, {.tp = 4}, {.pp = 2}, {.pp = 3}, {.pp = 2, .dp = 2, .tp = 2}};
const std::vector<std::string> kSchedules = {"1f1b", "gpipe", "interleaved", "zero_bubble"};
const std::vector<std::string> kRecomputes = {"none", "attention", "block"};
const std::vector<int> kAccumulations = {1, 4};
const std::vector<std::string> kReshards = {"per_micro_batch", "per_use", "per_step"};
const std::vector<std::string> kFamilies = {"llama", "qwen2", "qwen3", "gpt2"};

// The factors in the order of a cover's row.
std::vector<int> NumLevels() {
  const auto count = [](const auto& levels) { return static_cast<int>(levels.size()); };
  return {count(kMeshes), 4, 2, count(kSchedules), count(kRecomputes), count(kAccumulations), count(kReshards), 2, count(kFamilies),
          2};
}

Composition FromRow(const CoverRow& row) {
  const auto level = [&row](int factor) { return static_cast<size_t>(row[static_cast<size_t>(factor)]); };
  return {.mesh = kMeshes[level(0)],
          .zero_stage = row[1],
          .offload = row[2] == 1,
          .schedule = kSchedules[level(3)],
          .uneven = row[9] == 1,
          .recompute = kRecomputes[level(4)],
          .accumulation = kAccumulations[level(5)],
          .reshard = kReshards[level(6)],
          .tied = row[7] == 1,
          .family = kFamilies[level(8)]};
}

bool IsMeaningful(const Composition& c) {
  if (c.mesh.pp == 1 && (c.schedule != "1f1b" || c.uneven)) return false;
  if (c.mesh.dp == 1 && c.zero_stage != 0) return false;
  return c.zero_stage == 3 || c.reshard == "per_micro_batch";
}

// Blocks of each virtual stage; the model has five.
const char* UnevenStages(const Composition& c) {
  const bool interleaved = c.schedule == "interleaved";
  if (c.mesh.pp == 2) return interleaved ? "[0,4,1,0]" : "[1,4]";
  return interleaved ? "[2,0,1,1,1,0]" : "[0,5,0]";
}

std::vector<Composition> FromRows(const std::vector<CoverRow>& rows) {
  std::vector<Composition> compositions;
  for (const CoverRow& row : rows) compositions.push_back(FromRow(row));
  return compositions;
}

std::vector<CoverRow> MeaningfulRows() {
  return ValidRows(NumLevels(), [](const CoverRow& row) { return IsMeaningful(FromRow(row)); });
}

}  // namespace

std::string Composition::Name() const {
  std::string name;
  const auto add = [&name](const auto&... parts) { StrAppend(&name, name.empty() ? "" : "_", parts...); };
  const bool alone = mesh.size() == 1;
  if (alone) add("one_rank");
  if (!alone) add(mesh.tp > 1 ? StrCat("tp", mesh.tp) : "", mesh.pp > 1 ? StrCat("pp", mesh.pp) : "",
                  mesh.dp > 1 ? StrCat("dp", mesh.dp) : "");
  if (zero_stage != 0) add("zero", zero_stage);
  if (reshard != "per_micro_batch") add(reshard);
  if (offload) add("offload");
  if (mesh.pp > 1) add(schedule);
  if (uneven) add("uneven");
  if (recompute != "none") add("recompute_", recompute);
  if (accumulation != 1) add("acc", accumulation);
  if (tied) add("tied");
  add(family);
  return name;
}

std::vector<std::string> Composition::LayoutKeys() const {
  std::vector<std::string> keys = {StrCat("gradient_accumulation_steps=", accumulation)};
  const auto set = [&keys](bool differs, const auto& key, const auto& value) {
    if (differs) keys.push_back(StrCat(key, "=", value));
  };
  set(mesh.pp > 1, "parallel.pp", mesh.pp);
  set(mesh.tp > 1, "parallel.tp", mesh.tp);
  set(schedule != "1f1b", "parallel.schedule", schedule);
  set(schedule == "interleaved", "parallel.interleave", 2);
  set(uneven, "parallel.blocks_per_stage", uneven ? UnevenStages(*this) : "");
  set(zero_stage != 0, "zero_optimization.stage", zero_stage);
  set(reshard != "per_micro_batch", "zero_optimization.reshard", reshard);
  set(offload, "zero_optimization.offload_optimizer.device", "cpu");
  set(recompute != "none", "recompute", recompute);
  return keys;
}

std::vector<std::string> Composition::ModelKeys() const {
  std::vector<std::string> keys = {StrCat("model.model_type=", family),
                                   StrCat("model.tie_word_embeddings=", tied ? "true" : "false")};
  if (family == "gpt2") {
    // As many key-value heads as heads, which fill the width. The gradient of its key biases is all rounding (a softmax
    // does not see what its logits share), which AdamW would make steps of with a smaller eps.
    for (const char* key : {"model.hidden_size=32", "model.num_key_value_heads=8", "model.head_dim=4", "optimizer.params.eps=1e-4"}) {
      keys.push_back(key);
    }
  }
  return keys;
}

void PrintTo(const Composition& composition, std::ostream* out) { *out << composition.Name(); }

Composition OneRank(const std::string& family, bool tied) { return {.tied = tied, .family = family}; }

std::vector<Composition> AllCompositions() { return FromRows(MeaningfulRows()); }

std::vector<Composition> PairwiseCompositions() { return FromRows(PairwiseCover(MeaningfulRows())); }

std::vector<Composition> FullCompositions() {
  std::vector<Composition> compositions;
  for (const std::string& schedule : kSchedules) {
    compositions.push_back({.mesh = {.pp = 2, .dp = 2, .tp = 2}, .zero_stage = 3, .offload = true, .schedule = schedule,
                            .recompute = "attention", .accumulation = 4, .tied = true, .family = "qwen3"});
  }
  Composition gpt2 = compositions.front();
  gpt2.family = "gpt2";
  compositions.push_back(gpt2);
  return compositions;
}

std::vector<Composition> IdleCompositions() {
  return {{.mesh = {.tp = 2}, .zero_stage = 3, .reshard = "per_use"},
          {.mesh = {.pp = 2}, .zero_stage = 2, .offload = true, .accumulation = 4}};
}

}  // namespace weft
