// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/pass.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/parameters.hpp>
#include <trimtab/steer/steered.hpp>

#include <map>
#include <span>
#include <string>
#include <vector>

/// Activations of the untouched model or of a steered one:
///
///     const auto found = activations(model, prompts, {"attn_out", "resid_post"});
///     found.at("resid_post")[5]                         // host_matrix [tokens of all prompts, D], block 5's output
///     observe(model, prompts, [&](auto site, index_t layer, auto h, auto out) { ... });

namespace trimtab {

namespace detail {

template <typename See>
struct calling_observer {
  static constexpr bool is_watching = true;

  See* see;

  template <hook_site Site, typename T>
  void saw(index_t layer, matrix_view<const T> h, matrix_view<const T> out) const {
    (*see)(Site{}, layer, h, out);
  }
};

}  // namespace detail

/// Runs the untouched model and calls see(site, layer, h, out) at every site of every block, in forward order. `site`
/// is the site's type; `h` and `out` are the activations [rows, width] before and after it, here the same, in the
/// backend's memory and valid until `see` returns. Rows are the prompts' tokens in order, one per head at `attn_z`;
/// past the last block's attention only the scored ones. Throws `bad_text` for a prompt that the model cannot read.
template <tensor_backend B, model_architecture A, typename See>
void observe(const transformer<B, A>& model, std::span<const std::vector<int>> prompts, See see,
             scored where = scored::all) {
  with_memory_for("observe the model on these prompts", [&] {
    using model_type = transformer<B, A>;
    const batch<B> rows(model.backend(), model.config(), prompts, where);
    workspace<B> memory(model.backend());
    const auto stream = memory.take(rows.rows(), model.config().width);
    model.embed(rows, stream);
    using observer = detail::calling_observer<See>;
    pass<model_type, no_hooks, observer>(model, rows, {0, model.config().layers}, {}, pass_use::forward_only, {&see})
        .forward(stream);
  });
}

/// The same for a steered model at one strength: `h` is before an intervention and `out` after it. Blocks below the
/// lowest intervention are not observed. Also throws `bad_argument` for the strength, and `mismatch` for parameters or
/// prompts that do not fit the composition.
template <typename Steering, typename See>
void observe(const Steering& composition, const parameters& values, std::span<const prompt_pair> prompts,
             double strength, See see, scored where = scored::all) {
  composition.check(values.layout, values.theta.size());
  const std::vector<double> strengths{strength};
  check_strengths(strengths);
  with_memory_for("observe the steered model on these prompts", [&] {
    using observer = detail::calling_observer<See>;
    steered<Steering, observer> run(composition, {values.layout}, prompts,
                                    every_strength(std::ssize(prompts), strengths), pass_use::forward_only, where,
                                    nullptr, observer{&see});
    run.take_parameters(values.theta);
    run.forward();
  });
}

/// Activations by site and layer, each [tokens of all prompts, width], one row per head at `attn_z`.
template <typename T>
using activation_map = std::map<std::string, std::vector<host_matrix<T>>, std::less<>>;

/// The untouched model's activations at the named sites, in every block, for every token. Throws `bad_argument` for an
/// unknown site or one that the blocks lack, `bad_text` for a prompt that the model cannot read.
template <tensor_backend B, model_architecture A>
activation_map<typename B::scalar> activations(const transformer<B, A>& model,
                                               std::span<const std::vector<int>> prompts,
                                               const std::vector<std::string>& sites) {
  activation_map<typename B::scalar> found;
  for (const std::string& name : sites) {
    const auto number = site::find(name);
    if (not number or (model.config().parallel_residual and not site::table[*number].in_parallel_blocks))
      throw error(error_kind::bad_argument, "the model has no site '" + name + "'; its sites are " +
                                                site::names(model.config().parallel_residual));
    found[name];
  }
  observe(model, prompts, [&]<typename Site>(Site, index_t, auto, auto out) {
    const auto wanted = found.find(Site::text);
    if (wanted != found.end()) wanted->second.push_back(model.backend().download(out));
  });
  return found;
}
template <tensor_backend B, model_architecture A>
activation_map<typename B::scalar> activations(const transformer<B, A>& model, std::span<const prompt_pair> prompts,
                                               const std::vector<std::string>& sites) {
  return activations(model, ids_of(prompts), sites);
}

}  // namespace trimtab
