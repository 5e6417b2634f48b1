// SPDX-License-Identifier: Apache-2.0

#include "figures.hpp"
#include "interrupt.hpp"
#include "memory.hpp"
#include "places.hpp"
#include "plan.hpp"
#include "sweep_points.hpp"
#include "talk.hpp"

#include <trimtab/core/random.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <functional>
#include <utility>

/// `trimtab sweep --bootstrap`.

namespace trimtab::cli {

namespace {

class sweep_halves {
 public:
  sweep_halves(sweep_points& points, const sweep_command& command, const common_options& common,
               report::sweep_report& page, output& to)
      : points_(points), command_(command), common_(common), page_(page), found_(to) {}

  void select() {
    const composed_once& c = points_.composed().front();
    const prompts_of_seed& read = points_.data(c.asked, points_.base_seed());
    const auto& train = read.sets.front().pairs;
    if (train.size() < 2)
      throw error(error_kind::bad_data, "--bootstrap halves the train prompts, and there is only " +
                                            std::to_string(train.size()) + "; give more");
    auto at = c.base;
    if (c.base_in_shares) at.lambda_m *= points_.lambda_max_of(points_.front());
    const auto halves = halves_of(train, read.retained, at);
    std::vector<double> kept;
    parameter_layout layout;
    double mean_kept = 0;
    const auto share = 1 / static_cast<double>(halves.size());
    const bool whole = fit_halves(halves, [&](const parameters& values) {
      layout = values.layout;
      std::size_t record = 0;
      each_record(layout, [&](const parameter_block& block, std::size_t first) {
        if (record == kept.size()) kept.push_back(0);
        const bool is_kept = norm_of_record(block, values.theta, first) > 0;
        kept[record++] += is_kept ? 1 : 0;
        mean_kept += is_kept ? share : 0;
      });
    });
    if (not whole) return;
    for (double& times : kept) times /= static_cast<double>(halves.size());
    constexpr double threshold = 0.8;
    const auto places = static_cast<double>(kept.size());
    const auto stable = std::ranges::count_if(kept, [](double x) { return x >= threshold; });
    const double bound = mean_kept * mean_kept / places / (2 * threshold - 1);
    found_.json["selected"] = places_of(layout, kept, points_.model().config().layers);
    report::map_group group{
        "kept", "In what share of the halves of the train prompts each place is kept.", "selected", {}};
    std::size_t offset = 0;
    for (const parameter_block& block : layout.blocks) {
      const auto share_at = [&](index_t layer, index_t position, index_t part) {
        const index_t r = (layer * block.positions.count() + position) * block.parts + part;
        return kept[offset + static_cast<std::size_t>(r)];
      };
      if (not block.layers.empty())
        group.maps.push_back(report::in_reading_order(
            report::detail::map_by(block, points_.model().names_of(block.positions, train), share_at),
            block.positions));
      offset += static_cast<std::size_t>(block.records());
    }
    page_.selection.push_back(std::move(group));
    found_.json["selection"] = {{"halves", halves.size()},
                                {"threshold", threshold},
                                {"stable_places", stable},
                                {"mean_kept", mean_kept},
                                {"false_places_at_most", bound}};
    found_.text += std::to_string(stable) + " of " + report::counted(kept.size(), "place") +
                   (stable == 1 ? " is kept in at least " : " are kept in at least ") +
                   report::number(100 * threshold, 0) + " % of " + std::to_string(halves.size()) +
                   " halves of the train prompts, which keep " + rounded(mean_kept) +
                   " on average. Of places that a half keeps no more often than by chance, at most " + rounded(bound) +
                   " are expected among them.\n";
  }

 private:
  /// Pairs of complementary halves of the train prompts, each with all prompts to retain.
  std::vector<point_to_fit> halves_of(const std::vector<prompt_pair>& train, const std::vector<prompt_pair>& retained,
                                      const fit_settings& at) const {
    random_generator random(points_.base_seed());
    std::vector<point_to_fit> halves;
    std::vector<std::size_t> order(train.size());
    for (std::size_t n = 0; n < order.size(); ++n) order[n] = n;
    for (index_t pair = 0; pair < command_.bootstrap; ++pair) {
      random.shuffle(order);
      for (const std::size_t first : {std::size_t{0}, order.size() / 2}) {
        point_to_fit half{.at = at};
        for (std::size_t n = first; n < first + order.size() / 2; ++n) half.prompts.push_back(train[order[n]]);
        half.prompts = with_retained(std::move(half.prompts), retained);
        halves.push_back(std::move(half));
      }
    }
    return halves;
  }

  /// Fits all halves that no earlier run fitted, and gives each fit to `use`; false where a signal ended it.
  bool fit_halves(const std::vector<point_to_fit>& halves, const std::function<void(const parameters&)>& use) {
    const auto& composition = *points_.composed().front().composition;
    const sweep_point as_point{.at = halves.front().at,
                               .data = &points_.data(points_.composed().front().asked, points_.base_seed())};
    auto made = points_.made_at(as_point, as_point.at.steps);
    made.erase("arguments");  // no command of its own fits a half
    std::vector<point_to_fit> left;
    std::vector<std::size_t> numbers;
    for (std::size_t k = 0; k < halves.size(); ++k) {
      if (const auto fitted = points_.folder() ? points_.folder()->half(k) : std::nullopt) {
        use(composition.fit_to(*fitted, {.allow_other_weights = false}));
        continue;
      }
      left.push_back(halves[k]);
      numbers.push_back(k);
    }
    if (left.size() < halves.size() and not common_.quiet)
      tell("found " + std::to_string(halves.size() - left.size()) + " of " + std::to_string(halves.size()) +
           " halves fitted in '" + command_.out.string() + "'");
    if (left.empty()) return true;
    report::progress_bar bar("halves", as_point.at.steps * std::ssize(left), not common_.quiet);
    const auto finished = [&](std::size_t n, const parameters& values) {
      made["half"] = std::to_string(numbers[n]);
      if (points_.folder()) points_.folder()->write_half(numbers[n], composition.make_file(values, made));
      use(values);
    };
    return composition.sweep(
        left, command_.fit.objective, {.subgradient = command_.fit.subgradient}, finished,
        {.bytes = bytes_of_pass(command_, memory_of_program()), .proceed = [&](const sweep_progress& now) {
           bar.show(now.steps, "of " + std::to_string(command_.bootstrap) + " pairs");
           return interrupt_watch::signal() == 0;
         }});
  }

  sweep_points& points_;
  const sweep_command& command_;
  const common_options& common_;
  report::sweep_report& page_;
  output& found_;
};

}  // namespace

void add_halves(sweep_points& points, const sweep_command& command, const common_options& common,
                report::sweep_report& page, output& to) {
  sweep_halves(points, command, common, page, to).select();
}

}  // namespace trimtab::cli
