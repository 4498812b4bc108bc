// The ParamSpec table of the dense decoder families. Adding a parameter is adding one row here.
#include "model/params.h"

#include <cmath>
#include <numeric>

namespace weft {
namespace {

// What Hugging Face calls the modules of a model; ".weight" and ".bias" follow.
struct ForeignNames {
  const char *embedding, *positions;
  const char* layers;                  // "model.layers.": the layer's number and one of the next follow
  const char* attn_norm;
  std::vector<const char*> qkv;        // one a piece, or one for all three
  const char *q_norm, *k_norm, *wo, *mlp_norm;
  std::vector<const char*> up;         // gate and up, or up alone
  const char *down, *final_norm;
  bool transposed;                     // matrices of layers are stored [in, out]
};

const ForeignNames kLlamaNames = {
    .embedding = "model.embed_tokens", .positions = "", .layers = "model.layers.", .attn_norm = ".input_layernorm",
    .qkv = {".self_attn.q_proj", ".self_attn.k_proj", ".self_attn.v_proj"}, .q_norm = ".self_attn.q_norm",
    .k_norm = ".self_attn.k_norm", .wo = ".self_attn.o_proj", .mlp_norm = ".post_attention_layernorm",
    .up = {".mlp.gate_proj", ".mlp.up_proj"}, .down = ".mlp.down_proj", .final_norm = "model.norm", .transposed = false};
const ForeignNames kGpt2Names = {
    .embedding = "transformer.wte", .positions = "transformer.wpe", .layers = "transformer.h.", .attn_norm = ".ln_1",
    .qkv = {".attn.c_attn"}, .q_norm = "", .k_norm = "", .wo = ".attn.c_proj", .mlp_norm = ".ln_2",
    .up = {".mlp.c_fc"}, .down = ".mlp.c_proj", .final_norm = "transformer.ln_f", .transposed = true};

const ForeignNames& NamesOf(const ModelConfig& config) {
  return config.model_type == "gpt2" ? kGpt2Names : kLlamaNames;
}

int64_t Sum(const std::vector<int64_t>& parts) { return std::accumulate(parts.begin(), parts.end(), int64_t{0}); }

// Rows of the table; each Add returns the row's index.
class Table {
 public:
  Table(const ModelConfig& config, std::vector<ParamSpec>* specs)
      : c_(config),
        names_(NamesOf(config)),
        specs_(specs),
        // Projections into the residual stream start smaller, so that its variance does not grow with depth (GPT-2).
        output_deviation_(c_.initializer_range / std::sqrt(2.0 * static_cast<double>(c_.num_hidden_layers))) {}

  // A table of rows that ranks share: of tokens or positions.
  int AddRows(const char* name, int group, int64_t num_rows, std::string foreign) {
    return Add({.name = name, .shape = {num_rows, c_.hidden_size}, .group = group, .splits = {{Axis::kTp, 0, {}}},
                .foreign = {{foreign + ".weight", 0, num_rows}}, .init = {Init::Kind::kNormal, c_.initializer_range}});
  }
  NormParams AddNorm(const std::string& name, int group, const std::string& foreign) {
    NormParams ids;
    ids.weight = AddWholeVector(name, group, c_.hidden_size, foreign + ".weight", Init::Kind::kOnes);
    if (c_.norm == NormKind::kLayer) {
      ids.bias = AddWholeVector(name + "_bias", group, c_.hidden_size, foreign + ".bias", Init::Kind::kZeros);
    }
    return ids;
  }
  void AddAttention(int layer, BlockParams* ids) {
    const std::vector<int64_t> parts = {c_.q_dim(), c_.kv_dim(), c_.kv_dim()};
    const std::string ours = StrCat("layers.", layer, ".attn."), theirs = StrCat(names_.layers, layer);
    ids->wqkv = AddCutByRows(ours + "wqkv", layer, parts, names_.qkv);
    if (c_.qkv_bias) ids->bqkv = AddCutBias(ours + "bqkv", layer, parts, names_.qkv);
    if (c_.qk_norm) {
      ids->q_norm = AddWholeVector(ours + "q_norm", 1 + layer, c_.head_dim, theirs + names_.q_norm + ".weight", Init::Kind::kOnes);
      ids->k_norm = AddWholeVector(ours + "k_norm", 1 + layer, c_.head_dim, theirs + names_.k_norm + ".weight", Init::Kind::kOnes);
    }
    ids->wo = AddCutByColumns(ours + "wo", layer, c_.q_dim(), names_.wo);
    if (c_.output_bias) ids->bo = AddOutputBias(ours + "bo", layer, names_.wo);
  }
  void AddMlp(int layer, BlockParams* ids) {
    const bool gated = c_.activation == Activation::kSwiglu;
    const std::vector<int64_t> parts(gated ? 2 : 1, c_.intermediate_size);
    const std::string ours = StrCat("layers.", layer, ".mlp.");
    ids->w_up = AddCutByRows(ours + (gated ? "w_gate_up" : "w_up"), layer, parts, names_.up);
    if (c_.mlp_bias) ids->b_up = AddCutBias(ours + (gated ? "b_gate_up" : "b_up"), layer, parts, names_.up);
    ids->w_down = AddCutByColumns(ours + "w_down", layer, c_.intermediate_size, names_.down);
    if (c_.mlp_bias) ids->b_down = AddOutputBias(ours + "b_down", layer, names_.down);
  }
  const ForeignNames& names() const { return names_; }

 private:
  int Add(ParamSpec spec) {
    specs_->push_back(std::move(spec));
    return static_cast<int>(specs_->size()) - 1;
  }
  // A vector that every rank has whole, also under ZeRO 3, not decayed. Under tensor parallelism each rank applies it to
  // its own tokens, or (q_norm, k_norm) to its own heads, so its gradients are partial sums.
  int AddWholeVector(std::string name, int group, int64_t length, std::string foreign, Init::Kind init) {
    return Add({.name = std::move(name), .shape = {length}, .group = group, .grad_sum_axes = {Axis::kTp}, .persist = true,
                .foreign = {{std::move(foreign), 0, length}}, .init = {init, 0}, .weight_decay = false});
  }
  // The bias of what a projection cut by columns puts out: it is added to the sum, by each rank to its own tokens.
  int AddOutputBias(const std::string& name, int layer, const char* module) {
    return AddWholeVector(name, 1 + layer, c_.hidden_size, StrCat(names_.layers, layer, module, ".bias"), Init::Kind::kZeros);
  }
  // A matrix of fused `parts` rows each, of which every rank has a share.
  int AddCutByRows(std::string name, int layer, const std::vector<int64_t>& parts, const std::vector<const char*>& modules) {
    return Add({.name = std::move(name), .shape = {Sum(parts), c_.hidden_size}, .group = 1 + layer,
                .splits = {{Axis::kTp, 0, parts}}, .foreign = Pieces(layer, parts, modules, ".weight", names_.transposed),
                .init = {Init::Kind::kNormal, c_.initializer_range}});
  }
  int AddCutBias(std::string name, int layer, const std::vector<int64_t>& parts, const std::vector<const char*>& modules) {
    return Add({.name = std::move(name), .shape = {Sum(parts)}, .group = 1 + layer, .splits = {{Axis::kTp, 0, parts}},
                .persist = true, .foreign = Pieces(layer, parts, modules, ".bias", /*transposed=*/false),
                .init = {Init::Kind::kZeros, 0}, .weight_decay = false});
  }
  int AddCutByColumns(std::string name, int layer, int64_t num_columns, const char* module) {
    return Add({.name = std::move(name), .shape = {c_.hidden_size, num_columns}, .group = 1 + layer,
                .splits = {{Axis::kTp, 1, {}}}, .foreign = Pieces(layer, {c_.hidden_size}, {module}, ".weight", names_.transposed),
                .init = {Init::Kind::kNormal, output_deviation_}});
  }
  std::vector<ForeignPiece> Pieces(int layer, std::vector<int64_t> parts, const std::vector<const char*>& modules,
                                   const char* suffix, bool transposed) const {
    if (modules.size() == 1) parts = {Sum(parts)};
    WEFT_CHECK_EQ(parts.size(), modules.size());
    std::vector<ForeignPiece> pieces;
    for (size_t i = 0; i < parts.size(); ++i) {
      const int64_t begin = pieces.empty() ? 0 : pieces.back().row_end;
      pieces.push_back({StrCat(names_.layers, layer, modules[i], suffix), begin, begin + parts[i], transposed});
    }
    return pieces;
  }

  const ModelConfig& c_;
  const ForeignNames& names_;
  std::vector<ParamSpec>* specs_;
  const double output_deviation_;
};

}  // namespace

DecoderParams MakeDecoderParams(const ModelConfig& c) {
  DecoderParams params;
  Table table(c, &params.specs);
  const ForeignNames& names = table.names();
  params.blocks.resize(static_cast<size_t>(c.num_hidden_layers));
  params.embedding = table.AddRows("embedding", params.embedding_group(), c.vocab_size, names.embedding);
  if (c.positions == PositionKind::kLearned) {
    params.positions = table.AddRows("positions", params.embedding_group(), c.max_position_embeddings, names.positions);
  }
  for (int layer = 0; layer < static_cast<int>(c.num_hidden_layers); ++layer) {
    BlockParams& block = params.blocks[static_cast<size_t>(layer)];
    const int group = params.block_group(layer);
    const std::string ours = StrCat("layers.", layer), theirs = StrCat(names.layers, layer);
    block.attn_norm = table.AddNorm(ours + ".attn_norm", group, theirs + names.attn_norm);
    table.AddAttention(layer, &block);
    block.mlp_norm = table.AddNorm(ours + ".mlp_norm", group, theirs + names.mlp_norm);
    table.AddMlp(layer, &block);
  }
  params.final_norm = table.AddNorm("final_norm", params.head_group(), names.final_norm);
  params.lm_head = params.embedding;
  if (!c.tie_word_embeddings) params.lm_head = table.AddRows("lm_head", params.head_group(), c.vocab_size, "lm_head");
  return params;
}

void AssignStages(DecoderParams* params, const StageLayout& stages) {
  for (ParamSpec& spec : params->specs) spec.stages = {stages.RankOfGroup(spec.group)};
  const int last = stages.RankOfGroup(params->head_group());
  std::vector<int>& of_head = params->specs[static_cast<size_t>(params->lm_head)].stages;
  if (of_head.back() != last) of_head.push_back(last);  // a tied table that begins on another rank
}

namespace {

ConstTensorView WeightOrNone(const ParamStore& store, int id) { return id < 0 ? ConstTensorView() : store.Weight(id); }
TensorView GradOrNone(const ParamStore& store, int id) { return id < 0 ? TensorView() : store.Grad(id); }

}  // namespace

NormWeights WeightsOf(const ParamStore& store, const NormParams& ids) {
  return {.weight = WeightOrNone(store, ids.weight), .bias = WeightOrNone(store, ids.bias)};
}

NormGrads GradsOf(const ParamStore& store, const NormParams& ids) {
  return {.weight = GradOrNone(store, ids.weight), .bias = GradOrNone(store, ids.bias)};
}

BlockWeights WeightsOf(const ParamStore& store, const BlockParams& ids) {
  const auto get = [&](int id) { return WeightOrNone(store, id); };
  return {.attn_norm = WeightsOf(store, ids.attn_norm), .wqkv = get(ids.wqkv), .bqkv = get(ids.bqkv),
          .q_norm = get(ids.q_norm), .k_norm = get(ids.k_norm), .wo = get(ids.wo), .bo = get(ids.bo),
          .mlp_norm = WeightsOf(store, ids.mlp_norm), .w_up = get(ids.w_up), .b_up = get(ids.b_up),
          .w_down = get(ids.w_down), .b_down = get(ids.b_down)};
}

BlockVectorGrads VectorGradsOf(const ParamStore& store, const BlockParams& ids) {
  const auto get = [&](int id) { return GradOrNone(store, id); };
  return {.attn_norm = GradsOf(store, ids.attn_norm), .bqkv = get(ids.bqkv), .q_norm = get(ids.q_norm),
          .k_norm = get(ids.k_norm), .bo = get(ids.bo), .mlp_norm = GradsOf(store, ids.mlp_norm), .b_up = get(ids.b_up),
          .b_down = get(ids.b_down)};
}

BlockMatrixGrads MatrixGradsOf(const ParamStore& store, const BlockParams& ids) {
  const auto get = [&](int id) { return GradOrNone(store, id); };
  return {.wqkv = get(ids.wqkv), .wo = get(ids.wo), .w_up = get(ids.w_up), .w_down = get(ids.w_down)};
}

}  // namespace weft
