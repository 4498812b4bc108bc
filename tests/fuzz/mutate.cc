// Damage by position and length drawn from a counter-based generator: the same seeds give the same inputs.
#include "tests/fuzz/mutate.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <vector>

#include "core/check.h"
#include "core/file.h"
#include "core/rng.h"

namespace weft {
namespace {

class Mutator {
 public:
  Mutator(const std::vector<std::string>& seeds, uint64_t random_seed) : seeds_(seeds), rng_(random_seed, 0) {}

  std::string Next() {
    std::string input = seeds_[Draw(seeds_.size())];
    for (uint64_t i = Draw(Draw(6) + 1) + 1; i > 0; --i) Damage(&input);  // most often one or two
    return input;
  }

 private:
  uint64_t Draw(uint64_t below) { return rng_.Below(draw_++, below); }

  void Damage(std::string* input) {
    const size_t at = Draw(input->size() + 1), length = std::min<size_t>(Draw(40) + 1, input->size() - at);
    static const std::string kSigns = "{}[]\",:\\-0129eE.nulltruefa <>|\n\xE2\x96\x81\xFF";
    const std::string& other = seeds_[Draw(seeds_.size())];
    switch (Draw(6)) {
      case 0:
        if (length > 0) (*input)[at] = static_cast<char>(Draw(256));
        break;
      case 1:
        input->insert(at, 1, kSigns[Draw(kSigns.size())]);
        break;
      case 2:
        input->erase(at, length);
        break;
      case 3:
        input->insert(at, input->substr(at, length));
        break;
      case 4:
        input->insert(at, other.substr(Draw(other.size() + 1), Draw(60)));
        break;
      default:
        if (length > 0) (*input)[at] = kSigns[Draw(kSigns.size())];
    }
  }

  const std::vector<std::string>& seeds_;
  const Rng rng_;
  uint64_t draw_ = 0;
};

}  // namespace

int FuzzMain(int argc, char** argv, const std::function<bool(const std::string&)>& body) {
  if (argc < 4) {
    std::cerr << "usage: " << argv[0] << " SECONDS RANDOM_SEED SEED_FILE...\n";
    return 2;
  }
  std::vector<std::string> seeds;
  for (int i = 3; i < argc; ++i) {
    const StatusOr<std::string> seed = ReadFile(argv[i]);
    WEFT_CHECK_OK(seed);
    seeds.push_back(*seed);
  }
  const double seconds = std::atof(argv[1]);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  Mutator mutator(seeds, std::strtoull(argv[2], nullptr, 10));
  int64_t count = 0, num_good = 0;
  for (; std::chrono::steady_clock::now() < end; ++count) {
    const std::string input = mutator.Next();
    std::ofstream(kLastInput, std::ios::binary) << input;
    constexpr unsigned kMostSeconds = 30;
    ::alarm(kMostSeconds);
    num_good += body(input) ? 1 : 0;
    ::alarm(0);
  }
  std::cout << argv[0] << ": " << count << " inputs in " << seconds << " s, " << num_good << " of them taken for good\n";
  return 0;
}

}  // namespace weft
