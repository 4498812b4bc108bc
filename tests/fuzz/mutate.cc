// Damage by position and length drawn from a counter-based generator: a run is the same for the same seeds.
#include "tests/fuzz/mutate.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>

#include "core/rng.h"

namespace weft {
namespace {

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& seeds) : seeds_(seeds) {}

  std::string Next() {
    std::string input = seeds_[Draw(seeds_.size())];
    for (uint64_t i = Draw(6) + 1; i > 0; --i) Damage(&input);
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
  Rng rng_{1, 0};
  uint64_t draw_ = 0;
};

}  // namespace

void FuzzFor(double seconds, const std::vector<std::string>& seeds, const std::function<void(const std::string&)>& body) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  Mutator mutator(seeds);
  int64_t count = 0;
  for (; std::chrono::steady_clock::now() < end; ++count) {
    const std::string input = mutator.Next();
    std::ofstream("last_input", std::ios::binary) << input;
    body(input);
  }
  std::cout << count << " inputs in " << seconds << " s\n";
}

}  // namespace weft
