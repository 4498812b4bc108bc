// Bad steps: those whose loss or gradient norm is no number, or whose loss is far above that of the steps before. Which
// steps are bad, and the little of a run's past that this takes.
//
// What becomes of one is the user's choice. Going back to a checkpoint and stepping over the data since then is what
// Chowdhery et al., "PaLM", 2022, section 5.1, did about loss spikes; leaving the update out is what loss scalers do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/fields.h"
#include "core/status.h"

namespace weft {

enum class OnBadStep { kStop, kSkip, kRollBack };

struct BadStepSection {
  OnBadStep action = OnBadStep::kStop;
  double spike_factor = 0;  // a loss above so many times the median of recent good ones is bad; 0: any number is good
  int64_t window = 50;      // good losses that the median is of; with fewer so far no loss is a spike
  int64_t limit = 10;       // bad steps in a row, or times back to the same checkpoint, that the run bears
  void VisitFields(FieldVisitor& v);
};

// What later decisions depend on; every checkpoint holds it, so that a resumed run decides as an undisturbed one. (Not how
// often the run went back to the same checkpoint: that is of the time after it, and a run that is resumed counts anew.)
struct StepHistory {
  std::vector<double> good_losses;   // of the newest good steps, oldest first
  int64_t num_skipped = 0;           // steps of the run that were no update: the optimizer does not count them
  int64_t num_skipped_in_a_row = 0;  // up to the newest step

  void AddGood(double loss, int64_t window);
  void AddSkipped();

  std::string ToJson() const;
  // An empty text is an empty history: checkpoints of before there was one.
  static StatusOr<StepHistory> FromJson(const std::string& json);
};

// Why a step of this loss and gradient norm is bad, in words that follow "step 7 is bad: "; empty: it is good.
std::string WhyBad(double loss, double grad_norm, const StepHistory& history, const BadStepSection& config);

}  // namespace weft
