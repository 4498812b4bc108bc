// The ParamSpec table of the dense decoder family. Adding a parameter is adding one row here.
#include "model/params.h"

#include <cmath>

namespace weft {
namespace {

// Collects rows; each Add returns the row's index.
class Table {
 public:
  explicit Table(std::vector<ParamSpec>* specs) : specs_(specs) {}
  int Add(ParamSpec spec) {
    specs_->push_back(std::move(spec));
    return static_cast<int>(specs_->size()) - 1;
  }
  // A norm's weight: small, whole under ZeRO 3, not decayed. Under tensor parallelism each rank norms its own tokens, or
  // (q_norm, k_norm) its own heads, so its gradients are partial sums.
  int AddNorm(std::string name, int group, int64_t length, std::string foreign) {
    return Add({.name = std::move(name), .shape = {length}, .group = group, .grad_sum_axes = {Axis::kTp}, .persist = true,
                .foreign = {{std::move(foreign), 0, length}}, .init = {Init::Kind::kOnes, 0}, .weight_decay = false});
  }

 private:
  std::vector<ParamSpec>* specs_;
};

void AddAttention(const ModelConfig& c, int layer, double output_deviation, Table& table, BlockParams* ids) {
  const int group = 1 + layer;
  const std::string ours = StrCat("layers.", layer, ".attn."), theirs = StrCat("model.layers.", layer, ".self_attn.");
  const std::vector<int64_t> parts = {c.q_dim(), c.kv_dim(), c.kv_dim()};
  const auto pieces = [&](const char* suffix) {
    return std::vector<ForeignPiece>{{theirs + "q_proj." + suffix, 0, c.q_dim()},
                                     {theirs + "k_proj." + suffix, c.q_dim(), c.q_dim() + c.kv_dim()},
                                     {theirs + "v_proj." + suffix, c.q_dim() + c.kv_dim(), c.qkv_dim()}};
  };
  ids->wqkv = table.Add({.name = ours + "wqkv", .shape = {c.qkv_dim(), c.hidden_size}, .group = group,
                         .splits = {{Axis::kTp, 0, parts}}, .foreign = pieces("weight"),
                         .init = {Init::Kind::kNormal, c.initializer_range}});
  if (c.qkv_bias) {
    ids->bqkv = table.Add({.name = ours + "bqkv", .shape = {c.qkv_dim()}, .group = group,
                           .splits = {{Axis::kTp, 0, parts}}, .persist = true, .foreign = pieces("bias"),
                           .init = {Init::Kind::kZeros, 0}, .weight_decay = false});
  }
  if (c.qk_norm) {
    ids->q_norm = table.AddNorm(ours + "q_norm", group, c.head_dim, theirs + "q_norm.weight");
    ids->k_norm = table.AddNorm(ours + "k_norm", group, c.head_dim, theirs + "k_norm.weight");
  }
  ids->wo = table.Add({.name = ours + "wo", .shape = {c.hidden_size, c.q_dim()}, .group = group,
                       .splits = {{Axis::kTp, 1, {}}}, .foreign = {{theirs + "o_proj.weight", 0, c.hidden_size}},
                       .init = {Init::Kind::kNormal, output_deviation}});
}

void AddMlp(const ModelConfig& c, int layer, double output_deviation, Table& table, BlockParams* ids) {
  const int group = 1 + layer;
  const int64_t ffn = c.intermediate_size;
  const std::string ours = StrCat("layers.", layer, ".mlp."), theirs = StrCat("model.layers.", layer, ".mlp.");
  ids->w_gate_up = table.Add({.name = ours + "w_gate_up", .shape = {2 * ffn, c.hidden_size}, .group = group,
                              .splits = {{Axis::kTp, 0, {ffn, ffn}}},
                              .foreign = {{theirs + "gate_proj.weight", 0, ffn}, {theirs + "up_proj.weight", ffn, 2 * ffn}},
                              .init = {Init::Kind::kNormal, c.initializer_range}});
  ids->w_down = table.Add({.name = ours + "w_down", .shape = {c.hidden_size, ffn}, .group = group,
                           .splits = {{Axis::kTp, 1, {}}}, .foreign = {{theirs + "down_proj.weight", 0, c.hidden_size}},
                           .init = {Init::Kind::kNormal, output_deviation}});
}

}  // namespace

DecoderParams MakeDecoderParams(const ModelConfig& c) {
  DecoderParams params;
  Table table(&params.specs);
  // Projections into the residual stream start smaller, so that its variance does not grow with depth (GPT-2).
  const double output_deviation = c.initializer_range / std::sqrt(2.0 * static_cast<double>(c.num_hidden_layers));
  params.blocks.resize(static_cast<size_t>(c.num_hidden_layers));
  params.embedding = table.Add({.name = "embedding", .shape = {c.vocab_size, c.hidden_size},
                                .group = params.embedding_group(), .splits = {{Axis::kTp, 0, {}}},
                                .foreign = {{"model.embed_tokens.weight", 0, c.vocab_size}},
                                .init = {Init::Kind::kNormal, c.initializer_range}});
  for (int layer = 0; layer < static_cast<int>(c.num_hidden_layers); ++layer) {
    BlockParams& block = params.blocks[static_cast<size_t>(layer)];
    const int group = params.block_group(layer);
    const std::string ours = StrCat("layers.", layer), theirs = StrCat("model.layers.", layer);
    block.attn_norm = table.AddNorm(ours + ".attn_norm", group, c.hidden_size, theirs + ".input_layernorm.weight");
    AddAttention(c, layer, output_deviation, table, &block);
    block.mlp_norm = table.AddNorm(ours + ".mlp_norm", group, c.hidden_size,
                                     theirs + ".post_attention_layernorm.weight");
    AddMlp(c, layer, output_deviation, table, &block);
  }
  params.final_norm = table.AddNorm("final_norm", params.head_group(), c.hidden_size, "model.norm.weight");
  params.lm_head = params.embedding;
  if (!c.tie_word_embeddings) {
    params.lm_head = table.Add({.name = "lm_head", .shape = {c.vocab_size, c.hidden_size}, .group = params.head_group(),
                                .splits = {{Axis::kTp, 0, {}}}, .foreign = {{"lm_head.weight", 0, c.vocab_size}},
                                .init = {Init::Kind::kNormal, c.initializer_range}});
  }
  return params;
}

void AssignStages(DecoderParams* params, const StageLayout& stages) {
  for (ParamSpec& spec : params->specs) spec.stages = {stages.RankOfGroup(spec.group)};
  const int last = stages.RankOfGroup(params->head_group());
  std::vector<int>& of_head = params->specs[static_cast<size_t>(params->lm_head)].stages;
  if (of_head.back() != last) of_head.push_back(last);  // a tied table that begins on another rank
}

BlockWeights WeightsOf(const ParamStore& store, const BlockParams& ids) {
  const auto get = [&](int id) { return id < 0 ? ConstTensorView() : store.Weight(id); };
  return {get(ids.attn_norm), get(ids.wqkv), get(ids.bqkv), get(ids.q_norm), get(ids.k_norm),
          get(ids.wo), get(ids.mlp_norm), get(ids.w_gate_up), get(ids.w_down)};
}

BlockNormGrads NormGradsOf(const ParamStore& store, const BlockParams& ids) {
  const auto get = [&](int id) { return id < 0 ? TensorView() : store.Grad(id); };
  return {get(ids.attn_norm), get(ids.q_norm), get(ids.k_norm), get(ids.mlp_norm)};
}

BlockProjectionGrads ProjectionGradsOf(const ParamStore& store, const BlockParams& ids) {
  const auto get = [&](int id) { return id < 0 ? TensorView() : store.Grad(id); };
  return {get(ids.wqkv), get(ids.bqkv), get(ids.wo), get(ids.w_gate_up), get(ids.w_down)};
}

}  // namespace weft
