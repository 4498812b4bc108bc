// Fields and checks of the model section (see model_section.h).
#include "trainer/model_section.h"

#include <utility>

#include "core/str_cat.h"

namespace weft {
namespace {

void CheckRopeScaling(const RopeScalingSection& rope, const ModelFailure& fail) {
  const auto need = [&fail](const char* key, bool is_given, const char* type) {
    if (!is_given) fail(StrCat("model.rope_scaling.", key), StrCat("not given; rope_type ", type, " needs it"));
  };
  if (rope.rope_type != RopeType::kDefault) {
    need("factor", rope.factor.has_value(), "other than default");
    if (rope.factor.value_or(1) < 1)
      fail("model.rope_scaling.factor", StrCat("expected at least 1, got ", *rope.factor));
  }
  if (rope.rope_type == RopeType::kLlama3) {
    need("low_freq_factor", rope.low_freq_factor.has_value(), "llama3");
    need("high_freq_factor", rope.high_freq_factor.has_value(), "llama3");
    need("original_max_position_embeddings", rope.original_max_position_embeddings.has_value(), "llama3");
  }
}

void CheckSizes(const ModelSection& model, const ModelFailure& fail) {
  const auto positive = [&fail](const char* key, double value) {
    if (value > 0) return;
    const std::string got = value == 0 ? "it is not given, nor is model.path" : StrCat("got ", value);
    fail(StrCat("model.", key), StrCat("expected a positive number; ", got));
  };
  positive("vocab_size", static_cast<double>(model.vocab_size));
  positive("hidden_size", static_cast<double>(model.hidden_size));
  positive("intermediate_size", static_cast<double>(model.intermediate_size));
  positive("num_hidden_layers", static_cast<double>(model.num_hidden_layers));
  positive("num_attention_heads", static_cast<double>(model.num_attention_heads));
  const auto in_range = [&fail](const char* key, bool is_fine, const char* expected, auto value) {
    if (!is_fine) fail(StrCat("model.", key), StrCat("expected ", expected, ", got ", value));
  };
  for (const auto& [key, value] : {std::pair{"rms_norm_eps", model.rms_norm_eps}, {"layer_norm_epsilon", model.layer_norm_epsilon}}) {
    if (value.has_value()) in_range(key, *value > 0, "a positive number", *value);
  }
  in_range("rope_theta", model.rope_theta > 0, "a positive number", model.rope_theta);
  in_range("max_position_embeddings", model.max_position_embeddings > 0, "a positive number",
           model.max_position_embeddings);
  in_range("initializer_range", model.initializer_range > 0, "a positive number", model.initializer_range);
}

void ResolveHeads(ModelSection& model, const ModelFailure& fail) {
  const int64_t heads = model.num_attention_heads;
  const bool rotates = model.model_type != ModelType::kGpt2;
  if (!model.num_key_value_heads) model.num_key_value_heads = heads;
  if (!model.head_dim && model.model_type == ModelType::kQwen3) {
    model.head_dim = 128;  // transformers' default
  } else if (!model.head_dim && heads > 0) {
    model.head_dim = model.hidden_size / heads;
    if (*model.head_dim * heads != model.hidden_size) {
      fail("model.hidden_size", StrCat(model.hidden_size, " does not divide into num_attention_heads, ", heads,
                                       "; give head_dim or change one of them"));
    }
  }
  if (*model.num_key_value_heads <= 0 || heads % *model.num_key_value_heads != 0) {
    fail("model.num_key_value_heads",
         StrCat("expected a divisor of num_attention_heads, ", heads, ", got ", *model.num_key_value_heads));
  }
  if (model.head_dim.has_value() && (*model.head_dim <= 0 || (rotates && *model.head_dim % 2 != 0))) {
    fail("model.head_dim", StrCat("expected a positive even number, got ", *model.head_dim));
  }
}

// Hugging Face's Qwen2 has biases on q, k and v whatever its config says; attention_bias elsewhere adds one on the
// output projection too, which is not built.
void ResolveAttentionBias(ModelSection& model, const ModelFailure& fail) {
  const bool has_bias = model.model_type == ModelType::kQwen2 || model.model_type == ModelType::kGpt2;
  if (model.attention_bias.value_or(has_bias) != has_bias) {
    fail("model.attention_bias", has_bias ? "cannot be false: qwen2 and gpt2 always have these biases"
                                          : "cannot be true: only qwen2 has biases here, on q, k and v");
  }
  model.attention_bias = has_bias;
}

// What only GPT-2 has, what it has not, and what its keys mean when they are absent (transformers' GPT2Config).
void ResolveFamily(ModelSection& model, const ModelFailure& fail) {
  const bool is_gpt2 = model.model_type == ModelType::kGpt2;
  if (!model.tie_word_embeddings) model.tie_word_embeddings = is_gpt2;
  if (!is_gpt2) {
    if (model.layer_norm_epsilon) fail("model.layer_norm_epsilon", "is gpt2's; here it is rms_norm_eps");
    if (model.activation_function) fail("model.activation_function", "is gpt2's; here it is hidden_act");
    if (!model.rms_norm_eps) model.rms_norm_eps = 1e-6;
    return;
  }
  if (!model.layer_norm_epsilon) model.layer_norm_epsilon = 1e-5;
  if (model.intermediate_size == 0) model.intermediate_size = 4 * model.hidden_size;
  if (model.rms_norm_eps) fail("model.rms_norm_eps", "gpt2 has layer norms; give layer_norm_epsilon");
  const std::string_view learns = "gpt2 has learned positions, as many as max_position_embeddings";
  if (model.rope_scaling) fail("model.rope_scaling", learns);
  if (model.rope_theta != ModelSection().rope_theta) fail("model.rope_theta", learns);
  const std::string activation = model.activation_function.value_or("gelu_new");
  if (activation != "gelu_new" && activation != "gelu_pytorch_tanh") {
    fail("model.activation_function", StrCat("expected gelu_new or gelu_pytorch_tanh, got ", activation));
  }
}

// GPT-2's heads fill the width and have keys and values each.
void CheckGpt2Heads(const ModelSection& model, const ModelFailure& fail) {
  if (model.model_type != ModelType::kGpt2) return;
  const int64_t heads = model.num_attention_heads;
  if (*model.num_key_value_heads != heads) {
    fail("model.num_key_value_heads", StrCat("gpt2 has as many as num_attention_heads, ", heads));
  }
  if (model.head_dim.has_value() && *model.head_dim * heads != model.hidden_size) {
    fail("model.head_dim", "gpt2's is hidden_size / num_attention_heads; leave it out");
  }
}

// Attention here looks at all of a document. A window that is at least as long as a sequence changes nothing.
void CheckSlidingWindow(const ModelSection& model, int64_t sequence_length, const ModelFailure& fail) {
  const bool is_used = model.use_sliding_window.value_or(model.model_type == ModelType::kMistral);
  if (is_used && model.sliding_window.has_value() && *model.sliding_window < sequence_length) {
    fail("model.sliding_window",
         StrCat("cannot be honoured: ", *model.sliding_window, " is less than data.sequence_length, ", sequence_length,
                ", and attention here has no window"));
  }
}

}  // namespace

void RopeScalingSection::VisitFields(FieldVisitor& v) {
  v.Alias("type", "rope_type");
  v.Choice("rope_type", rope_type, {"default", "linear", "llama3", "yarn"},
           "how positions beyond the trained ones are scaled");
  v.Field("rope_theta", rope_theta, "the section's own rope_theta, where transformers 5 has it");
  v.Field("factor", factor, "how many times longer than trained");
  v.Field("original_max_position_embeddings", original_max_position_embeddings, "trained length in tokens");
  v.Field("low_freq_factor", low_freq_factor,
          "llama3: waves longer than the trained length over this are scaled fully");
  v.Field("high_freq_factor", high_freq_factor, "llama3: waves shorter than the trained length over this are kept");
  v.Field("attention_factor", attention_factor, "yarn: factor of the attention logits' temperature");
  v.Field("beta_fast", beta_fast, "yarn: rotations over the trained length above which a wave is kept; default 32");
  v.Field("beta_slow", beta_slow, "yarn: rotations below which a wave is scaled fully; default 1");
  v.Field("mscale", mscale, "yarn: numerator of the attention factor, as DeepSeek has it");
  v.Field("mscale_all_dim", mscale_all_dim, "yarn: its denominator");
  v.Field("truncate", truncate, "yarn: round the borders between kept and scaled waves; default true");
}

void ModelSection::VisitFields(FieldVisitor& v) {
  v.Field("path", path,
          "folder in Hugging Face layout to start from; without it the shape below is trained from scratch");
  v.Choice("model_type", model_type, {"llama", "qwen2", "qwen3", "mistral", "gpt2"}, "the family");
  for (const auto& [theirs, ours] : {std::pair{"n_embd", "hidden_size"}, {"n_inner", "intermediate_size"},
                                     {"n_layer", "num_hidden_layers"}, {"n_head", "num_attention_heads"},
                                     {"n_positions", "max_position_embeddings"}}) {
    v.Alias(theirs, ours);  // GPT-2's names
  }
  v.Field("vocab_size", vocab_size, "rows of the embedding");
  v.Field("hidden_size", hidden_size, "width of the residual stream");
  v.Field("intermediate_size", intermediate_size, "width of the feed-forward layer; default in gpt2: 4 hidden_size");
  v.Field("num_hidden_layers", num_hidden_layers, "blocks");
  v.Field("num_attention_heads", num_attention_heads, "query heads");
  v.Field("num_key_value_heads", num_key_value_heads, "key and value heads; default: as many as query heads");
  v.Field("head_dim", head_dim, "size of a head; default: hidden_size / num_attention_heads, in qwen3 128");
  v.Field("rms_norm_eps", rms_norm_eps, "added to the mean square in norms; default 1e-6");
  v.Field("layer_norm_epsilon", layer_norm_epsilon, "gpt2: added to the variance in layer norms; default 1e-5");
  v.Field("activation_function", activation_function, "gpt2: gelu_new or gelu_pytorch_tanh, which are the same");
  v.Field("rope_theta", rope_theta, "base of the rotary frequencies");
  v.Alias("rope_parameters", "rope_scaling");
  v.Section("rope_scaling", rope_scaling, "scaling of rotary positions");
  v.Field("max_position_embeddings", max_position_embeddings, "longest context in tokens, as written to config.json; gpt2 learns each position");
  v.Field("tie_word_embeddings", tie_word_embeddings, "the head's weights are the embedding's; default: in gpt2 alone");
  v.Field("attention_bias", attention_bias,
          "biases of the query, key and value projections: those of qwen2 and gpt2, and of no other");
  v.Field("initializer_range", initializer_range, "standard deviation of new weights");
  v.Field("sliding_window", sliding_window,
          "window of attention in tokens; honoured where it is no shorter than a sequence");
  v.Field("use_sliding_window", use_sliding_window, "whether sliding_window counts; default: in mistral alone");
  v.Fixed("hidden_act", "silu", "the feed-forward layer is SwiGLU");
  v.Fixed("mlp_bias", "false", "the feed-forward layer has no biases");
  v.Fixed("attention_dropout", "0", "there is no dropout");
  v.Fixed("scale_attn_weights", "true", "logits are scaled by the root of the head's size");
  v.Fixed("scale_attn_by_inverse_layer_idx", "false", "and by nothing else");
  v.Fixed("add_cross_attention", "false", "there is no encoder");
  for (const std::string_view name : {"attn_pdrop", "embd_pdrop", "resid_pdrop"}) v.Ignored(name, "there is no dropout");
  v.Fixed("pretraining_tp", "1", "it asks for a slower sum in another order");
  v.Fixed("use_mrope", "false", "positions have one dimension");
  v.Refused("quantization_config", "weights that are quantised already cannot be trained");
  for (const std::string_view name :
       {"architectures", "bos_token_id", "eos_token_id", "pad_token_id", "torch_dtype", "dtype", "transformers_version",
        "use_cache", "max_window_layers", "_name_or_path", "n_ctx", "reorder_and_upcast_attn", "summary_activation",
        "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj", "task_specific_params"}) {
    v.Ignored(name, "Hugging Face's, and not about the shape");
  }
}

void ResolveModelSection(ModelSection& model, int64_t sequence_length, const ModelFailure& fail) {
  if (!model.path.empty()) return;  // its config.json has the shape
  if (model.rope_scaling.has_value() && model.rope_scaling->rope_theta.has_value()) {
    model.rope_theta = *std::exchange(model.rope_scaling->rope_theta, std::nullopt);
  }
  ResolveFamily(model, fail);
  CheckSizes(model, fail);
  ResolveHeads(model, fail);
  CheckGpt2Heads(model, fail);
  if (model.rope_scaling.has_value()) CheckRopeScaling(*model.rope_scaling, fail);
  ResolveAttentionBias(model, fail);
  CheckSlidingWindow(model, sequence_length, fail);
}

}  // namespace weft
