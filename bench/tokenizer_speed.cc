// How fast a tokenizer encodes: MB of text a second of processor time on one thread, and of wall time on several.
// usage: weft_tokenizer_speed TOKENIZER TEXT_FILE [THREADS...]
// The text is cut into documents of about 10 kB at line ends; the best of five runs counts. bench/tokenizer_speed.py does
// the same with Hugging Face's `tokenizers`.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/thread_pool.h"
#include "data/tokenizer.h"

namespace weft {
namespace {

constexpr size_t kDocumentBytes = 10'000;
constexpr int kNumRuns = 5;

std::vector<std::string> CutAtLines(const std::string& text) {
  std::vector<std::string> documents;
  for (size_t begin = 0; begin < text.size();) {
    const size_t line_end = text.find('\n', std::min(begin + kDocumentBytes, text.size() - 1));
    const size_t end = line_end == std::string::npos ? text.size() : line_end + 1;
    documents.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return documents;
}

double WallSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// The least seconds of `clock` that encoding all documents takes.
double BestSeconds(const Tokenizer& tokenizer, const std::vector<std::string>& documents, int num_threads,
                   double (*clock)()) {
  ThreadPool pool(num_threads);
  double best = 1e30;
  for (int run = 0; run < kNumRuns; ++run) {
    const double start = clock();
    pool.ParallelTasks(static_cast<int64_t>(documents.size()), [&](int64_t i) { tokenizer.Encode(documents[i]); });
    best = std::min(best, clock() - start);
  }
  return best;
}

int Main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: weft_tokenizer_speed TOKENIZER TEXT_FILE [THREADS...]\n";
    return 2;
  }
  const double start = CpuSeconds();
  const auto tokenizer = Tokenizer::Load(argv[1]);
  const double load = CpuSeconds() - start;
  const auto text = ReadFile(argv[2]);
  if (!tokenizer.ok() || !text.ok() || text->empty()) {
    std::cerr << tokenizer.status() << "; " << text.status() << "\n";
    return 2;
  }
  const std::vector<std::string> documents = CutAtLines(*text);
  const double megabytes = static_cast<double>(text->size()) / 1e6;
  std::printf("load %.3f s; one thread %.2f MB/s of processor time", load,
              megabytes / BestSeconds(**tokenizer, documents, 1, CpuSeconds));
  for (int i = 3; i < argc; ++i) {
    const int num_threads = std::max(1, std::atoi(argv[i]));
    std::printf("; %d threads %.2f MB/s", num_threads,
                megabytes / BestSeconds(**tokenizer, documents, num_threads, WallSeconds));
  }
  std::printf("\n");
  return 0;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) { return weft::Main(argc, argv); }
