// The keys of a run, section by section (see run_config.h): one list for parsing, errors, the dump and the reference.
#include <initializer_list>

#include "trainer/run_config.h"

namespace weft {
namespace {

void IgnoreAll(FieldVisitor& v, std::initializer_list<std::string_view> names, std::string_view why) {
  for (const std::string_view name : names) v.Ignored(name, why);
}

void RefuseAll(FieldVisitor& v, std::initializer_list<std::string_view> names, std::string_view why) {
  for (const std::string_view name : names) v.Refused(name, why);
}

// DeepSpeed's top-level keys that have no counterpart above.
void VisitRestOfDeepSpeed(FieldVisitor& v) {
  v.Fixed("gradient_allreduce_op", "mean", "gradients are means over all tokens of the batch");
  v.Fixed("sequence_parallel_size", "1", "parallelism over the length of sequences (Ulysses) is not built; parallel.tp shares the tokens between matrices by itself");
  IgnoreAll(v,
            {"prescale_gradients", "gradient_predivide_factor", "communication_data_type",
             "seq_parallel_communication_data_type", "disable_allgather", "managed_gradient_accumulation"},
            "gradients are summed in f32 and divided by the number of tokens once");
  IgnoreAll(v,
            {"wall_clock_breakdown", "memory_breakdown", "dump_state", "flops_profiler", "comms_logger", "log_level"},
            "times and memory are in metrics.jsonl");
  IgnoreAll(v, {"tensorboard", "csv_monitor", "wandb", "comet"},
            "metrics go to metrics.jsonl in the run's folder alone");
  IgnoreAll(v,
            {"zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer", "graph_harvesting", "compile", "aio",
             "nebula", "datastates", "autotuning", "hybrid_engine", "use_data_before_expert_parallelism"},
            "it configures DeepSpeed's own machinery, not what is trained");
  v.Ignored("dataloader_drop_last", "every batch is full");
  v.Ignored("vocabulary_size", "model.vocab_size is the one that counts");
  v.Ignored("pipeline", "parallel.pp and parallel.schedule shape the pipeline");
  RefuseAll(v, {"tensor_parallel", "expert_parallel"}, "write parallel.tp");
  RefuseAll(v, {"amp", "torch_autocast"}, "write precision");
  v.Refused("sparse_gradients", "gradients are dense");
  v.Refused("elasticity", "write the batch sizes");
  RefuseAll(v,
            {"compression_training", "weight_quantization", "progressive_layer_drop", "curriculum_learning",
             "data_efficiency", "eigenvalue", "sparse_attention"},
            "it changes what is trained, and is not built; take the section out to train without it");
}

struct DataTypesSection {
  void VisitFields(FieldVisitor& v) {
    v.Fixed("grad_accum_dtype", "fp32", "gradients accumulate in f32");
    IgnoreAll(v, {"param_dtype", "buffer_dtype"}, "precision decides, masters are f32");
  }
};

}  // namespace

void DataSection::VisitFields(FieldVisitor& v) {
  v.Field("path", path, "token store written by `weft data prepare`");
  v.Sections("sources", sources, "several token stores, mixed by weight, in place of path");
  v.Field("sequence_length", sequence_length, "tokens of one sequence");
}

void ParallelSection::VisitFields(FieldVisitor& v) {
  v.Field("pp", pp, "pipeline stages");
  v.Field("tp", tp, "ranks that share each matrix; data parallel is the number of ranks divided by pp * tp");
  v.Choice("schedule", schedule, {kScheduleNames.begin(), kScheduleNames.end()},
           "order of forwards and backwards in the pipeline; `weft inspect schedule` draws it");
  v.Field("interleave", interleave, "virtual stages a rank with schedule: interleaved");
  v.Field("blocks_per_stage", blocks_per_stage,
          "blocks of each (virtual) stage in order, 0 allowed: the first also has the embedding, the last the head");
}

void OffloadSection::VisitFields(FieldVisitor& v) {
  v.Choice("device", device, {"none", "cpu", "nvme"}, "where the shards live between uses");
  v.Fixed("ratio", "1", "all or nothing is offloaded");
  v.Refused("super_offload", "it is not built");
  IgnoreAll(v,
            {"nvme_path", "pin_memory", "buffer_count", "buffer_size", "max_in_cpu", "pipeline", "pipeline_read",
             "pipeline_write", "fast_init", "cpuadam_cores_perc"},
            "buffers and threads of offloading are sized here");
}

void ZeroSection::VisitFields(FieldVisitor& v) {
  v.Field("stage", stage, "0: nothing is sharded; 1: optimizer states; 2: and gradients; 3: and weights");
  v.Choice("reshard", reshard, {kReshardNames.begin(), kReshardNames.end()},
           "stage 3: when gathered weights are let go; later costs memory, earlier costs gathers");
  v.Field("prefetch", prefetch, "how many compute actions (a group's forward or backward) ahead of their use weights are gathered");
  v.Section("offload_optimizer", offload_optimizer, "optimizer states outside the GPU");
  v.Section("offload_param", offload_param, "weights outside the GPU");
  v.Field("cpu_offload", cpu_offload, "old spelling of offload_optimizer.device: cpu");
  v.Field("cpu_offload_param", cpu_offload_param, "old spelling of offload_param.device: cpu");
  for (const std::string_view name :
       {"prefetch_bucket_size", "param_persistence_threshold", "model_persistence_threshold", "max_live_parameters",
        "max_reuse_distance", "gather_16bit_weights_on_model_save", "module_granularity_threshold",
        "use_all_reduce_for_fetch_params", "allgather_sequential"}) {
    const std::string with_prefix = StrCat("stage3_", name);
    v.Alias(name, with_prefix);
    v.Ignored(with_prefix, "gathering and releasing follow a fixed plan; `weft export` writes whole weights");
  }
  v.Alias("stage3_gather_fp16_weights_on_model_save", "gather_fp16_weights_on_model_save");
  IgnoreAll(v,
            {"gather_fp16_weights_on_model_save",
             "contiguous_gradients",
             "reduce_scatter",
             "reduce_bucket_size",
             "allgather_bucket_size",
             "use_multi_rank_bucket_allreduce",
             "allgather_partitions",
             "overlap_comm",
             "sub_group_size",
             "load_from_fp32_weights",
             "ignore_unused_parameters",
             "memory_efficient_linear",
             "override_module_apply",
             "round_robin_gradients",
             "elastic_checkpoint",
             "pipeline_loading_checkpoint",
             "log_trace_cache_warnings",
             "enable_sanity_checks",
             "save_muon_momentum_buffer_in_memory",
             "leaf_module",
             "cpu_offload_use_pin_memory",
             "mics_hierarchical_params_gather"},
            "buffers, buckets and overlap are laid out here");
  v.Fixed("zero_hpz_partition_size", "1", "secondary shards (ZeRO++) are not built");
  v.Fixed("mics_shard_size", "-1", "MiCS is not built");
  RefuseAll(v,
            {"zero_quantized_weights", "zero_quantized_nontrainable_weights", "zero_quantized_gradients",
             "zeropp_loco_param", "zenflow", "legacy_stage1"},
            "it changes the numbers, and is not built");
}

void CheckpointSection::VisitFields(FieldVisitor& v) {
  v.Field("every", every, "steps between checkpoints; 0: at the end only");
  v.Field("asynchronous", asynchronous,
          "train on while a checkpoint is written, from a copy in host memory (12 bytes a parameter, shared out over the ranks); "
          "the last save of a run is waited for");
  v.Field("keep", keep, "newest complete checkpoints that stay; 0: all");
  v.Field("keep_best", keep_best, "checkpoints of least validation loss that stay, too; the newest may be among them");
  v.Choice("on_failure", on_failure, {"continue", "stop"},
           "what a failed save (a full disk) does to the run; the last save of a run always is an error");
  v.Field("resume", resume,
          "auto: what output holds, if its config agrees; never: begin anew, at every start; or the path of a run or a checkpoint, "
          "where a course begins with which the same command goes on");
  IgnoreAll(v, {"tag_validation", "parallel_write", "checkpoint_serialization", "writer"},
            "checkpoints have one format, and one writer a rank");
  RefuseAll(v, {"load_universal", "use_node_local_storage"}, "checkpoints are weft's own, in the run's folder");
}

void EvalSection::VisitFields(FieldVisitor& v) {
  v.Field("every", every, "steps between evaluations on the validation split; 0: at the end only");
  v.Field("batches", batches, "batches of train_batch_size sequences an evaluation takes, of each source; 0: the whole split");
}

void LoggingSection::VisitFields(FieldVisitor& v) {
  v.Field("every", every, "steps between printed lines; metrics.jsonl has every step");
}

void WatchdogSection::VisitFields(FieldVisitor& v) {
  v.Field("timeout", timeout,
          "seconds without progress after which the job is ended and the rank that all wait for named (ten times that while "
          "starting and saving); 0: never; unset: five median steps, at least 30 s");
}

void Bf16Section::VisitFields(FieldVisitor& v) {
  v.Field("enabled", enabled, "DeepSpeed's spelling of precision: bf16");
  IgnoreAll(v, {"immediate_grad_update", "check_grad_overflow"},
            "gradients accumulate in f32, and their norm is always checked");
  RefuseAll(v, {"bf16_master_weights_and_grads", "bf16_optimizer_states"}, "masters, gradients and moments are f32");
}

void Fp16Section::VisitFields(FieldVisitor& v) {
  v.Field("enabled", enabled, "DeepSpeed's spelling of precision: fp16");
  v.Field("loss_scale", loss_scale, "factor of the loss; 0: found while training");
  v.Field("initial_scale_power", initial_scale_power, "first factor, as a power of 2");
  v.Field("loss_scale_window", loss_scale_window, "steps without overflow before the factor doubles");
  v.Field("hysteresis", hysteresis, "overflows before the factor halves");
  v.Field("consecutive_hysteresis", consecutive_hysteresis, "a step without overflow restores hysteresis");
  v.Field("min_loss_scale", min_loss_scale, "lowest factor");
  v.Ignored("auto_cast", "inputs are token ids");
  v.Refused("fp16_master_weights_and_grads", "masters and gradients are f32");
}

void ActivationCheckpointingSection::VisitFields(FieldVisitor& v) {
  v.Refused("cpu_checkpointing", "recomputed blocks keep their inputs on the device");
  IgnoreAll(v,
            {"partition_activations", "number_checkpoints", "contiguous_memory_optimization",
             "synchronize_checkpoint_boundary", "profile"},
            "recompute: block keeps the input of every block");
}

void RunConfig::VisitFields(FieldVisitor& v) {
  v.Field("output", output, "the run's folder: metrics, checkpoints, the resolved configuration");
  v.Field("seed", seed, "of initial weights and the order of the data");
  v.Field("steps", steps, "optimizer steps in all");
  v.Choice("device", device, {"auto", "cpu", "cuda"}, "auto: a GPU where there is one");
  v.Choice("precision", precision, {"f32", "bf16", "fp16", "fp8"}, "of forward and backward; masters are f32");
  v.Field("threads", threads, "CPU threads of one rank; 0: the cores of this host divided among its ranks");
  v.Section("model", model, "the model, by the names of Hugging Face's config.json");
  v.Section("data", data, "what it is trained on");
  v.Field("train_batch_size", train_batch_size, "sequences a step, over all ranks");
  v.Field("train_micro_batch_size_per_gpu", train_micro_batch_size_per_gpu,
          "sequences of one forward and backward on a replica");
  v.Field("gradient_accumulation_steps", gradient_accumulation_steps, "forwards and backwards a step on a replica");
  v.Section("optimizer", optimizer, "the optimizer");
  v.Section("scheduler", scheduler, "the learning rate over the steps");
  v.Field("gradient_clipping", gradient_clipping, "largest global L2 norm of the gradient; 0: no limit");
  v.Section("parallel", parallel, "how ranks share the work");
  v.Section("zero_optimization", zero_optimization, "what data-parallel ranks share out instead of repeating");
  v.Choice("recompute", recompute, {"none", "attention", "block"}, "what backward computes again instead of keeping");
  v.Choice("verify_parallel", verify_parallel, {"auto", "always", "never"},
           "whether several ranks first train a tiny model under the same layout and compare it with one rank; auto: where the "
           "run's folder has not seen the layout");
  v.Section("checkpoint", checkpoint, "saving and resuming");
  v.Section("bad_step", bad_step, "what becomes of a step whose loss or gradient norm is no number, or whose loss spikes");
  v.Section("eval", eval, "evaluation on the validation split");
  v.Section("logging", logging, "what is printed");
  v.Section("watchdog", watchdog, "ends a job that stands still, and says why");
  v.Alias("bfloat16", "bf16");
  v.Section("bf16", bf16, "DeepSpeed's section for precision: bf16");
  v.Section("fp16", fp16, "DeepSpeed's section for precision: fp16");
  v.Section("activation_checkpointing", activation_checkpointing,
            "DeepSpeed's section; its presence means recompute: block");
  v.Field("steps_per_print", steps_per_print, "DeepSpeed's spelling of logging.every");
  DataTypesSection data_types;
  v.Section("data_types", data_types, "DeepSpeed's section of accumulation types");
  VisitRestOfDeepSpeed(v);
}

}  // namespace weft
