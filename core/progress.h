// A progress bar on stderr for long work: fraction, rate and time left, redrawn a few times a second on a terminal and
// a line every ten seconds elsewhere. Use from one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace weft {

class Progress {
 public:
  // `total` in `unit`s, e.g. ("tokenizing", 1234567, "bytes").
  Progress(std::string what, int64_t total, std::string unit);
  ~Progress();  // ends the line
  void Advance(int64_t amount);
  void Skip(int64_t amount);  // was done before: it counts in the fraction, not in the rate

 private:
  void DrawIfDue();
  void Draw(bool last);
  using Clock = std::chrono::steady_clock;

  std::string what_;
  int64_t total_;
  std::string unit_;
  int64_t done_ = 0;
  int64_t skipped_ = 0;  // of done_
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_;
  Clock::time_point last_draw_;
};

// "1 h 02 min", "3 min 20 s", "12 s", "0.4 s".
std::string HumanDuration(double seconds);
// "1.2 GiB", "340 KiB".
std::string HumanBytes(double bytes);
// "1.23 M", "450".
std::string HumanCount(double count);

}  // namespace weft
