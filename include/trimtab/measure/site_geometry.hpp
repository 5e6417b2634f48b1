// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/evaluate.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

/// What an intervention does to activations, at every place of every site, as means over prompts: to their length,
/// ‖out‖ / ‖h‖, to their direction, cos(out, h), and along h, (out − h)·h / ‖h‖². A steering vector that lengthens
/// activations differs from one that rotates them; for a scalar, learned or computed, the last figure is β times the
/// scalar.

namespace trimtab {

/// One intervention's places, [layer of the block][position * parts + part]; `rows` is 0 where no prompt covers one.
struct site_geometry {
  parameter_block block = {};
  std::vector<std::vector<double>> norm_ratio = {}, cosine = {}, stretch = {};
  std::vector<std::vector<index_t>> rows = {};
};

namespace detail {

/// ‖out‖ / ‖h‖ of a row; 1 where h is zero and there is nothing to compare with.
struct norm_ratio {
  constexpr auto value(row auto& r) const {
    using math::sqrt;
    const auto h = r.sum([&](auto j) { return r.h(j) * r.h(j); });
    const auto out = r.sum([&](auto j) { return r.out(j) * r.out(j); });
    return h > 0 ? sqrt(out / h) : std::remove_const_t<decltype(out)>(1);
  }
};

/// cos(out, h) of a row; 0 where either is zero and has no direction.
struct cosine {
  constexpr auto value(row auto& r) const {
    using math::sqrt;
    const auto h = r.sum([&](auto j) { return r.h(j) * r.h(j); });
    const auto out = r.sum([&](auto j) { return r.out(j) * r.out(j); });
    return h > 0 and out > 0 ? r.sum([&](auto j) { return r.h(j) * r.out(j); }) / sqrt(h * out)
                             : std::remove_const_t<decltype(out)>(0);
  }
};

/// (out − h)·h / ‖h‖² of a row; 0 where h is zero, and exactly 0 where nothing is done.
struct stretch {
  constexpr auto value(row auto& r) const {
    const auto h = r.sum([&](auto j) { return r.h(j) * r.h(j); });
    return h > 0 ? r.sum([&](auto j) { return r.h(j) * (r.out(j) - r.h(j)); }) / h
                 : std::remove_const_t<decltype(h)>(0);
  }
};

/// Measures the input and output of every hook.
template <typename B>
struct geometry_observer {
  using T = typename B::scalar;
  static constexpr bool is_watching = true;

  std::vector<site_geometry>* geometry;
  const std::vector<std::vector<int>>* records;  ///< by intervention, the record of each row, -1 for none
  const std::vector<std::vector<int>>* scored_records;
  matrix_view<T> values;  ///< [1, rows * parts] memory
  index_t last_layer;
  const B* backend;

  template <hook_site Site>
  void saw(index_t layer, matrix_view<const T> h, matrix_view<const T> out) const {
    for (std::size_t k = 0; k < geometry->size(); ++k) {
      site_geometry& g = (*geometry)[k];
      const index_t place = g.block.layer_number(layer);
      if (g.block.site != Site::text or place < 0) continue;
      const bool scored_only = layer == last_layer and not std::is_same_v<Site, site::resid_pre>;
      measure((scored_only ? *scored_records : *records)[k], g, static_cast<std::size_t>(place), h, out);
    }
  }

 private:
  void measure(const std::vector<int>& record, site_geometry& g, std::size_t place, matrix_view<const T> h,
               matrix_view<const T> out) const {
    const auto add = [&](auto term, std::vector<double>& sums, bool counts) {
      backend->values(term, h.rows, h.cols, values.data, each_row(name::h, h), each_row(name::out, out));
      const host_matrix<T> host = backend->download({values.data, 1, h.rows});
      for (std::size_t i = 0; i < record.size(); ++i) {
        if (record[i] < 0) continue;
        sums[static_cast<std::size_t>(record[i])] += static_cast<double>(host.values[i]);
        if (counts) ++g.rows[place][static_cast<std::size_t>(record[i])];
      }
    };
    add(norm_ratio{}, g.norm_ratio[place], true);
    add(cosine{}, g.cosine[place], false);
    add(stretch{}, g.stretch[place], false);
  }
};

}  // namespace detail

/// The geometry at one strength, one entry per intervention of the composition; several at one site are measured
/// together. Places are those of the parameters, or those of `by`: positions::absolute() shows what a scalar that all
/// positions share computes at each token of a prompt. Throws as `evaluate` does.
template <typename Steering>
std::vector<site_geometry> measure_geometry(const Steering& composition, const parameters& values,
                                            std::span<const prompt_pair> prompts, double strength,
                                            const std::optional<position_key>& by = {}) {
  using Model = typename Steering::model_type;
  using B = typename Model::backend_type;
  const Model& model = composition.model();
  const std::vector<double> strengths{strength};
  composition.check(values.layout, values.theta.size());
  check_prompts(prompts, model.config().vocabulary);
  check_strengths(strengths);

  return with_memory_for("measure the geometry of the intervention", [&] {
    std::vector<site_geometry> geometry;
    std::vector<std::vector<int>> records, scored_records;
    index_t most_rows = 0;
    for (parameter_block block : values.layout.blocks) {
      if (by) block.positions = by->resolved(prompts);
      const auto places = static_cast<std::size_t>(block.records_per_layer());
      const std::size_t layers = block.layers.size();
      const std::vector<std::vector<double>> zeros(layers, std::vector<double>(places));
      geometry.push_back({block, zeros, zeros, zeros, {layers, std::vector<index_t>(places)}});
      std::vector<int>& all = records.emplace_back();
      std::vector<int>& last = scored_records.emplace_back();
      for (const prompt_pair& p : prompts) {
        const std::vector<int> of_prompt = block.positions.records(p);
        for (std::size_t i = 0; i < of_prompt.size(); ++i)
          for (index_t part = 0; part < block.parts; ++part) {
            const int record =
                of_prompt[i] < 0 ? -1 : of_prompt[i] * static_cast<int>(block.parts) + static_cast<int>(part);
            all.push_back(record);
            if (i + 1 == of_prompt.size()) last.push_back(record);
          }
      }
      most_rows = std::max(most_rows, std::ssize(all));
    }

    workspace<B> memory(model.backend());
    using observer = detail::geometry_observer<B>;
    steered<Steering, observer> run(composition, {values.layout}, prompts,
                                    every_strength(std::ssize(prompts), strengths), pass_use::forward_only,
                                    scored::last, nullptr,
                                    observer{&geometry, &records, &scored_records, memory.take(1, most_rows),
                                             model.config().layers - 1, &model.backend()});
    run.take_parameters(values.theta);
    run.forward();
    for (site_geometry& g : geometry)
      for (std::size_t l = 0; l < g.rows.size(); ++l)
        for (std::size_t i = 0; i < g.rows[l].size(); ++i) {
          const double n = static_cast<double>(std::max<index_t>(1, g.rows[l][i]));
          g.norm_ratio[l][i] /= n;
          g.cosine[l][i] /= n;
          g.stretch[l][i] /= n;
        }
    return geometry;
  });
}

}  // namespace trimtab
