// Drawing plans (see plan_drawing.h).
#include "parallel/plan_drawing.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "core/str_cat.h"

namespace weft {
namespace {

struct Cell {
  ActionKind kind;
  int virtual_stage;
  int micro_batch;
  Span span;
};

// Consecutive actions of a virtual stage for a micro-batch make one cell. Among I also the head and the embedding do B.
std::vector<Cell> CellsOf(const Plan& plan, const std::vector<Span>& spans, const StageLayout& layout) {
  const auto is_backward = [](ActionKind k) { return k == ActionKind::kBackward || k == ActionKind::kBackwardInput; };
  std::vector<Cell> cells;
  for (size_t i = 0; i < plan.size(); ++i) {
    const Action& action = plan[i];
    if (!IsCompute(action.kind)) continue;
    const int stage = layout.VirtualStageOf(action.group);
    Cell* last = cells.empty() ? nullptr : &cells.back();
    const bool same = last != nullptr && last->virtual_stage == stage && last->micro_batch == action.micro_batch &&
                      (last->kind == action.kind || (is_backward(last->kind) && is_backward(action.kind)));
    if (!same) {
      cells.push_back({action.kind, stage, action.micro_batch, spans[i]});
      continue;
    }
    last->span.end = spans[i].end;
    if (action.kind == ActionKind::kBackwardInput) last->kind = action.kind;
  }
  return cells;
}

std::string Label(const Cell& cell, const StageLayout& layout) {
  std::string label = StrCat(ToString(Action{cell.kind, 0, cell.micro_batch}).substr(0, 1), cell.micro_batch);
  if (layout.num_virtual_stages() > layout.pp) label += static_cast<char>('a' + cell.virtual_stage / layout.pp);
  return label;
}

// One rank's row, painted cell by cell over dots.
class Row {
 public:
  Row(int width, int dot_every) : text_(static_cast<size_t>(width), ' '), kinds_(static_cast<size_t>(width), kNothing) {
    for (size_t i = 0; i < text_.size(); i += static_cast<size_t>(dot_every)) text_[i] = '.';
  }

  // A label and a line up to the last column, which separates the cell from the next.
  void Put(int begin, int end, const std::string& label) {
    for (int i = begin; i < std::min(end, static_cast<int>(text_.size())); ++i) {
      const auto in_label = static_cast<size_t>(i - begin);
      const bool separates = i == end - 1;
      text_[static_cast<size_t>(i)] = separates ? ' ' : in_label < label.size() ? label[in_label] : '-';
      kinds_[static_cast<size_t>(i)] = separates ? kNothing : label[0];
    }
  }

  std::string Render(bool color) const {
    std::string out;
    char current = kNothing;
    for (size_t i = 0; i < text_.size(); ++i) {
      if (color && kinds_[i] != current) out += Paint(current = kinds_[i]);
      out += text_[i] == '.' ? "·" : text_[i] == '-' ? (color ? " " : "─") : std::string(1, text_[i]);
    }
    if (color && current != kNothing) out += Paint(kNothing);
    return out;
  }

 private:
  static constexpr char kNothing = ' ';
  static const char* Paint(char kind) {
    switch (kind) {
      case 'F':
        return "\033[30;48;5;117m";  // black on light blue
      case 'B':
      case 'I':
        return "\033[30;48;5;114m";  // on green
      case 'W':
        return "\033[30;48;5;222m";  // on yellow
      default:
        return "\033[0m";
    }
  }

  std::string text_;   // '.' and '-' stand for the characters that take several bytes
  std::string kinds_;  // the letter of the cell that each column belongs to
};

// Time marks at round numbers, at least 8 columns apart.
std::string Axis(int width, double columns_per_unit) {
  double step = 1;
  for (const double factor : {1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0}) {
    step = factor;
    if (step * columns_per_unit >= 8) break;
  }
  std::string axis(static_cast<size_t>(width), ' ');
  for (int mark = 0;; ++mark) {
    const auto column = static_cast<size_t>(std::lround(mark * step * columns_per_unit));
    const std::string text = absl::StrFormat("%g", mark * step);
    if (column + text.size() > axis.size()) break;
    axis.replace(column, text.size(), text);
  }
  return axis;
}

std::string Legend(const std::vector<std::vector<Cell>>& rows, const StageLayout& layout) {
  const auto has = [&rows](ActionKind kind) {
    for (const std::vector<Cell>& row : rows) {
      if (std::any_of(row.begin(), row.end(), [kind](const Cell& cell) { return cell.kind == kind; })) return true;
    }
    return false;
  };
  std::string text = "F forward";
  if (has(ActionKind::kBackward)) text += ", B backward";
  if (has(ActionKind::kBackwardInput)) text += ", I gradients of inputs, W of weights";
  text += ", with the micro-batch";
  if (layout.num_virtual_stages() > layout.pp) text += " and its virtual stage (a, b, ...)";
  return text + "; · waits. Time in forwards of a block.\n";
}

// The columns of a drawing: how many, and how time maps to them. The shortest cell has room for its label.
struct Scale {
  int cell_width = 0;
  double columns_per_unit = 0;
  int width = 0;
  bool cut = false;
  int ColumnOf(double time) const { return static_cast<int>(std::lround(time * columns_per_unit)); }
};

Scale MakeScale(const std::vector<std::vector<Cell>>& rows, const StageLayout& layout, double makespan, int room) {
  double shortest = makespan;
  size_t longest_label = 0;
  for (const std::vector<Cell>& row : rows) {
    for (const Cell& cell : row) {
      const double length = cell.span.end - cell.span.start;
      if (length > 0) shortest = std::min(shortest, length);
      longest_label = std::max(longest_label, Label(cell, layout).size());
    }
  }
  Scale scale;
  scale.cell_width = static_cast<int>(longest_label) + 1;
  scale.columns_per_unit = scale.cell_width / shortest;
  const int needed = scale.ColumnOf(makespan);
  scale.cut = needed > room;
  scale.width = std::min(needed, room);
  return scale;
}

std::string WithoutTrailingSpaces(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

}  // namespace

std::string Draw(const std::vector<Plan>& plans, const StageLayout& layout, const Simulation& simulation,
                 const DrawingStyle& style) {
  constexpr int kMargin = 9;  // "rank 0  |"
  std::vector<std::vector<Cell>> rows;
  for (size_t rank = 0; rank < plans.size(); ++rank) rows.push_back(CellsOf(plans[rank], simulation.spans[rank], layout));
  const Scale scale = MakeScale(rows, layout, simulation.makespan, std::max(style.width - kMargin - 1, 20));
  std::string drawing = WithoutTrailingSpaces(std::string(kMargin, ' ') + Axis(scale.width, scale.columns_per_unit));
  for (size_t rank = 0; rank < rows.size(); ++rank) {
    Row row(scale.width, scale.cell_width);
    for (const Cell& cell : rows[rank]) {
      row.Put(scale.ColumnOf(cell.span.start), scale.ColumnOf(cell.span.end), Label(cell, layout));
    }
    drawing += WithoutTrailingSpaces(absl::StrFormat("rank %-3d│", rank) + row.Render(style.color) + (scale.cut ? "…" : ""));
  }
  if (scale.cut) {
    StrAppend(&drawing, absl::StrFormat("(cut off at %.4g of %.4g; a wider terminal or fewer micro-batches show all)\n",
                                        scale.width / scale.columns_per_unit, simulation.makespan));
  }
  return drawing + Legend(rows, layout);
}

}  // namespace weft
