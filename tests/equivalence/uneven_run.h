// UnevenRun: a tiny training run on data made so that whoever divides the work among ranks and micro-batches gets unequal
// shares of the loss: whole texts, prompts with a short answer, and documents that carry no loss at all.
//
// It learns quickly (the loss falls by a fifth in kSteps) with clipping active, has an odd number of blocks, and extents
// that four ranks of tensor parallelism divide but three of ZeRO do not.
#pragma once

#include <string>
#include <vector>

#include "tests/equivalence/composition.h"
#include "tests/launch/job.h"
#include "trainer/run_config.h"

namespace weft {

class UnevenRun {
 public:
  static constexpr int kSteps = kSanitized ? 5 : 20;
  static constexpr int kStepsAnEvaluation = 5;

  // Writes the token store and the configuration that all compositions share into a folder that lasts as long as this.
  UnevenRun();

  // The configuration of a composition; `more` are further keys ("key=value"). A mistake fails the test.
  RunConfig ConfigOf(const Composition& composition, const std::vector<std::string>& more = {}) const;
  // The same as arguments of the weft binary: "train CONFIG --set ...".
  std::string ArgumentsOf(const Composition& composition, const std::vector<std::string>& more = {}) const;

  std::string Path(const std::string& name) const { return scratch_.path() + "/" + name; }
  std::string corpus() const { return Path("corpus.h5"); }

 private:
  void WriteCorpus() const;
  void WriteConfig() const;

  ScratchFolder scratch_;
};

}  // namespace weft
