// Draws the loss curve (see loss_plot.h). Plain SVG elements: a browser, a README and an e-mail all show it.
#include "trainer/loss_plot.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace weft {
namespace {

constexpr double kWidth = 860, kHeight = 460, kLeft = 70, kRight = 20, kTop = 44, kBottom = 52;

// From data to pixels, with round marks on both axes.
struct Axes {
  double first_step = 1, last_step = 2, low = 0, high = 1;
  double X(double step) const { return kLeft + (step - first_step) / (last_step - first_step) * (kWidth - kLeft - kRight); }
  double Y(double loss) const { return kHeight - kBottom - (loss - low) / (high - low) * (kHeight - kTop - kBottom); }
};

// The round distance (1, 2 or 5 times a power of ten) that gives about five marks.
double RoundDistance(double span) {
  const double raw = span / 5, power = std::pow(10, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) return factor * power;
  }
  return 10 * power;
}

Axes FitAxes(const std::vector<StepMetrics>& steps) {
  Axes axes;
  bool any = false;
  const auto include = [&](double loss) {
    if (!std::isfinite(loss)) return;
    axes.low = any ? std::min(axes.low, loss) : loss;
    axes.high = any ? std::max(axes.high, loss) : loss;
    any = true;
  };
  for (const StepMetrics& m : steps) {
    include(m.loss);
    if (m.eval_loss.has_value()) include(*m.eval_loss);
  }
  if (!any) axes = Axes();
  if (!steps.empty()) {
    axes.first_step = static_cast<double>(steps.front().step);
    axes.last_step = std::max(static_cast<double>(steps.back().step), axes.first_step + 1);
  }
  const double least = 1e-6 * std::max(1.0, std::abs(axes.low));  // marks must differ as numbers
  if (axes.high - axes.low < least) axes.high = axes.low + least;
  const double distance = RoundDistance(axes.high - axes.low);
  axes.low = std::floor(axes.low / distance) * distance;
  axes.high = std::ceil(axes.high / distance) * distance;
  return axes;
}

std::string Escape(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else out += c;
  }
  return out;
}

void DrawGrid(const Axes& axes, std::string* svg) {
  const double loss_distance = RoundDistance(axes.high - axes.low);
  for (double loss = axes.low; loss <= axes.high + loss_distance / 2; loss += loss_distance) {
    absl::StrAppendFormat(svg, "<line x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f' stroke='#e4e4e4'/>", kLeft, kWidth - kRight,
                          axes.Y(loss), axes.Y(loss));
    absl::StrAppendFormat(svg, "<text x='%.1f' y='%.1f' text-anchor='end'>%g</text>\n", kLeft - 8, axes.Y(loss) + 4, loss);
  }
  const double step_distance = std::max(1.0, RoundDistance(axes.last_step - axes.first_step));
  const double first = std::ceil(axes.first_step / step_distance) * step_distance;
  for (double step = first; step <= axes.last_step; step += step_distance) {
    absl::StrAppendFormat(svg, "<text x='%.1f' y='%.1f' text-anchor='middle'>%g</text>\n", axes.X(step),
                          kHeight - kBottom + 20, step);
  }
}

struct Point {
  double step, loss;
};

void DrawLine(const Axes& axes, const std::vector<Point>& points, const std::string& style, std::string* svg) {
  std::string path;
  bool pen_down = false;
  for (const Point& point : points) {
    if (!std::isfinite(point.loss)) {
      pen_down = false;
      continue;
    }
    absl::StrAppendFormat(&path, "%s%.1f %.1f", pen_down ? "L" : "M", axes.X(point.step), axes.Y(point.loss));
    pen_down = true;
  }
  absl::StrAppendFormat(svg, "<path d='%s' fill='none' %s/>\n", path, style);
}

// Exponential mean, corrected for its start.
std::vector<Point> Smoothed(const std::vector<StepMetrics>& steps) {
  const double keep = 1 - std::min(1.0, 30.0 / static_cast<double>(steps.size() + 1));
  std::vector<Point> points;
  double mean = 0, weight = 0;
  for (const StepMetrics& m : steps) {
    if (!std::isfinite(m.loss)) continue;
    mean = keep * mean + (1 - keep) * m.loss;
    weight = keep * weight + (1 - keep);
    points.push_back({static_cast<double>(m.step), mean / weight});
  }
  return points;
}

void DrawLegend(bool has_validation, std::string* svg) {
  absl::StrAppendFormat(svg, "<text x='%.1f' y='28' text-anchor='end'><tspan fill='#1b6ac9'>training loss</tspan>%s</text>\n",
                        kWidth - kRight, has_validation ? "  <tspan fill='#c8500a'>validation loss</tspan>" : "");
}

}  // namespace

std::string LossPlotSvg(const std::vector<StepMetrics>& steps, const std::string& title) {
  const Axes axes = FitAxes(steps);
  std::string svg = absl::StrFormat(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %g %g' width='%g' height='%g' font-family='sans-serif' "
      "font-size='13'>\n<rect width='100%%' height='100%%' fill='white'/>\n"
      "<text x='%g' y='28' font-size='16'>%s</text>\n",
      kWidth, kHeight, kWidth, kHeight, kLeft, Escape(title));
  DrawGrid(axes, &svg);
  std::vector<Point> raw, validation;
  for (const StepMetrics& m : steps) {
    raw.push_back({static_cast<double>(m.step), m.loss});
    if (m.eval_loss.has_value()) validation.push_back({static_cast<double>(m.step), *m.eval_loss});
  }
  const bool smooth = steps.size() > 60;
  DrawLine(axes, raw, smooth ? "stroke='#a9cbf2' stroke-width='1'" : "stroke='#1b6ac9' stroke-width='2'", &svg);
  if (smooth) DrawLine(axes, Smoothed(steps), "stroke='#1b6ac9' stroke-width='2'", &svg);
  for (const Point& point : validation) {
    if (!std::isfinite(point.loss)) continue;
    absl::StrAppendFormat(&svg, "<circle cx='%.1f' cy='%.1f' r='4' fill='#c8500a'/>\n", axes.X(point.step), axes.Y(point.loss));
  }
  DrawLegend(!validation.empty(), &svg);
  absl::StrAppendFormat(&svg, "<text x='%g' y='%g' text-anchor='middle'>step</text>\n</svg>\n", (kLeft + kWidth - kRight) / 2,
                        kHeight - 12);
  return svg;
}

}  // namespace weft
