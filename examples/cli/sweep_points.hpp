// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "asked.hpp"
#include "commands.hpp"
#include "data.hpp"
#include "model.hpp"

#include <trimtab/io/sweep_folder.hpp>
#include <trimtab/report/page/sweep_section.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

/// What a sweep fits: its points, with the compositions and prompts that they share, and what is known of each so far.

namespace trimtab::cli {

/// The interventions of some points, with the settings that do not vary.
struct composed_once {
  fit_command command = {};
  std::vector<at_option> asked = {};
  std::unique_ptr<any_composition> composition = nullptr;
  fit_settings base = {};
  bool base_in_shares = false,
       in_shares = false;  ///< whether the weight of `base`, and of the points, is a share of λ_max
};

/// What a seed's fits are made on and measured on.
struct prompts_of_seed {
  std::vector<named_prompts> sets = {};
  std::vector<prompt_pair> retained = {};  ///< that are to stay as they are

  std::vector<prompt_pair> fitted_on() const { return with_retained(sets.front().pairs, retained); }
};

/// One fit of the sweep, and what is known of it once it has ended.
struct sweep_point {
  std::size_t composition = 0;
  fit_settings at = {};
  std::optional<double> share = {};  ///< of λ_max, where the weight of minimality was given as one
  const prompts_of_seed* data = nullptr;
  std::size_t chain = 0;  ///< of a path: points with the same number follow each other
  std::optional<ordered_json> figures = {};
  std::optional<parameters> values = {};  ///< until then, and after a resumed sweep, nothing
};

/// The points of a sweep, in the order of its grid, with their prompts, compositions and folder.
class sweep_points {
 public:
  /// Loads the model, reads the prompts, lays the points out and opens the folder. Throws what these throw.
  sweep_points(const sweep_command& command, const common_options& common);

  std::size_t size() const { return points_.size(); }
  sweep_point& operator[](std::size_t k) { return points_[k]; }
  const sweep_point& operator[](std::size_t k) const { return points_[k]; }
  const sweep_point& front() const { return points_.front(); }
  auto begin() const { return points_.begin(); }
  auto end() const { return points_.end(); }

  const any_model& model() const { return *model_; }
  const std::vector<composed_once>& composed() const { return composed_; }
  const any_composition& composition_of(const sweep_point& p) const { return *composed_[p.composition].composition; }
  std::optional<io::sweep_folder>& folder() { return folder_; }  ///< none without --out
  std::uint64_t base_seed() const { return command_.fit.data.seed.value_or(1); }

  /// The prompts of a seed, for these positions; read once.
  const prompts_of_seed& data(const std::vector<at_option>& asked, std::uint64_t seed);
  objective_options objective_at(const sweep_point& p) const;
  adam optimizer_at(const sweep_point& p) const;
  /// How the intervention of a point was made, for its file.
  std::map<std::string, std::string> made_at(const sweep_point& p, index_t steps) const;
  double lambda_max_of(const sweep_point& p);
  /// The values of what varies, under the names of the command line.
  ordered_json varied_of(const sweep_point& p) const;

  /// The rank that fits a point: points take turns, paths as a whole.
  std::size_t rank_of(std::size_t k) const;
  bool is_own(std::size_t k) const;

  /// Takes the figures of a point that an earlier run finished.
  void recall(std::size_t k);
  /// How many points of all ranks an earlier run finished.
  std::size_t found_in_folder() const;
  /// Measures a point, and keeps it on disk before anything else happens.
  void finish(std::size_t k, const parameters& values, index_t steps, const ordered_json& more = {});
  void fail(std::size_t k, const std::string& why);
  void count(std::size_t k);
  /// The parameters of a finished point.
  const parameters& values_of(std::size_t k);

  std::size_t own() const { return own_; }            ///< how many points this rank fits
  index_t own_steps() const { return own_steps_; }    ///< and with how many steps
  std::size_t finished() const { return finished_; }  ///< how many points have figures
  index_t finished_steps() const { return finished_steps_; }

 private:
  void compose();
  void lay_out_points();
  void open_folder();

  const sweep_command& command_;
  const common_options& common_;
  std::unique_ptr<any_model> model_;
  std::map<std::string, prompts_of_seed> data_ = {};
  std::vector<composed_once> composed_ = {};
  std::vector<sweep_point> points_ = {};
  std::size_t chains_ = 0;
  std::map<std::tuple<std::size_t, std::uint64_t, double>, double> lambda_max_ = {};
  std::optional<io::sweep_folder> folder_ = {};
  std::size_t finished_ = 0, own_ = 0;
  index_t own_steps_ = 0, finished_steps_ = 0;
};

/// The figures of all points, with the front of what they trade, its knee on fresh prompts, and the path.
void add_figures(sweep_points& points, const sweep_command& command, report::sweep_report& page, output& to);

/// Fits complementary halves of the train prompts, and counts how often each place is kept (Shah and Samworth 2013);
/// adds nothing where a signal ends it.
void add_halves(sweep_points& points, const sweep_command& command, const common_options& common,
                report::sweep_report& page, output& to);

}  // namespace trimtab::cli
