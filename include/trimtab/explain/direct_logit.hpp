// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/explain/groups.hpp>
#include <trimtab/explain/metric.hpp>
#include <trimtab/row/math.hpp>
#include <trimtab/row/residual.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/observe.hpp>
#include <trimtab/steer/sequence.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Direct logit attribution: what each addend of the final residual stream gives to D = z[correct] − z[wrong], with the
/// deviation that the final norm divides by frozen. Each addend is centred by its own mean. The embeddings, every
/// `attn_out`, every `mlp_out` and the constant sum to D; what a head adds to `attn_out` is its `attn_z` times its rows
/// of the output projection. Only the scored token has a share: places elsewhere have 0.

namespace trimtab::explain {

namespace detail {

/// out = (u gain − mean(u gain)) / σ, where σ is the deviation of the stream `h`: the direction u after the final norm
/// as a direction of the stream before it, σ being frozen.
struct frozen_norm {
  static constexpr per_channel<"direction"> direction{};
  static constexpr per_channel<"gain"> gain{};

  double epsilon = 1e-5;

  constexpr void forward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    using math::sqrt;
    const T n = static_cast<T>(static_cast<double>(r.width()));
    const T mean = r.sum([&](auto j) { return r.h(j); }) / n;
    const T variance = r.sum([&](auto j) { return (r.h(j) - mean) * (r.h(j) - mean); }) / n;
    const T scale = 1 / sqrt(variance + static_cast<T>(epsilon));
    const T mean_direction = r.sum([&](auto j) { return r(direction, j) * r(gain, j); }) / n;
    r.each([&](auto j) { r.out(j) = scale * (r(direction, j) * r(gain, j) - mean_direction); });
  }
};

/// Σ h · direction.
struct share_of {
  constexpr auto value(row auto& r) const {
    return r.sum([&](auto j) { return r.h(j) * r(frozen_norm::direction, j); });
  }
};

/// What the metric has besides places.
inline constexpr std::array direct_addends{"embedding", "position_embedding", "constant"};

template <typename Model>
class direct_shares {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  /// Runs the model on some prompts and keeps what it adds to the stream of the scored tokens.
  direct_shares(const Model& model, std::span<const prompt_pair> prompts, const parameter_layout& places)
      : backend_(model.backend()),
        config_(model.config()),
        places_(places),
        memory_(model.backend()),
        count_(std::ssize(prompts)),
        added_(places.blocks.size()) {
    std::vector<int> last_row, token, position;
    for (const prompt_pair& p : prompts) {
      last_row.push_back((last_row.empty() ? -1 : last_row.back()) + static_cast<int>(p.ids.size()));
      token.push_back(p.ids.back());
      position.push_back(static_cast<int>(p.ids.size()) - 1);
    }
    const int* const last_rows = memory_.take(std::move(last_row));
    const placed_sites sites(places);
    const auto ids = ids_of(prompts);
    observe(
        model, ids,
        [&]<hook_site Site>(Site, index_t layer, matrix_view<const T>, matrix_view<const T> out) {
          const bool is_final = std::same_as<Site, site::resid_post> and layer == config_.layers - 1;
          if (not is_final and not sites.active<Site>(layer)) return;
          const matrix_view<const T> rows = out.reshaped(out.cols * rows_per_token(config_, Site::text));
          const matrix_view<T> kept = memory_.take(count_, rows.cols);
          if (scored_only(config_, Site::text, layer))
            backend_.copy(rows, kept);
          else
            backend_.forward(copy_row{}, count_, rows.cols, selected_row(name::h, rows, last_rows),
                             each_row(name::out, kept));
          if (is_final)
            stream_ = kept;
          else
            added_[sites.block<Site>()].push_back(kept);
        },
        scored::last);

    const matrix_view<T> norm = memory_.take(count_, config_.width);
    logits_ = memory_.take(count_, config_.vocabulary);
    model.unembed(stream_, norm, logits_);
    after_norm_ = memory_.take(count_, config_.width);
    direction_ = memory_.take(count_, config_.width);
    const matrix_view<T> d_logits = memory_.take(count_, config_.vocabulary);
    scorer<B>(backend_, metric_kind::logit_diff, prompts).gradient(logits_, nullptr, d_logits);
    backend_.multiply_backward(model.unembedding(), d_logits, after_norm_);
    backend_.forward(frozen_norm{config_.layer_norm_epsilon}, count_, config_.width, each_row(name::h, stream_),
                     each_row(frozen_norm::direction, after_norm_), each_row(name::out, direction_),
                     all_rows(frozen_norm::gain, model.norm_final().gain.view(1, config_.width)));

    const auto add = [&](const char* name, auto addend) { addends_.emplace_back(name, shares(addend, direction_)); };
    const matrix_view<T> embedding = memory_.take(count_, config_.width);
    model.embed_tokens(memory_.take(std::move(token)), embedding);
    add(direct_addends[0], each_row(name::h, embedding));
    if (config_.rotary_channels == 0)
      add(direct_addends[1], selected_row(name::h, model.position_embedding(), memory_.take(std::move(position))));
    else
      addends_.emplace_back(direct_addends[1], std::vector<double>(prompts.size()));
    addends_.emplace_back(direct_addends[2],
                          shares(all_rows(name::h, model.norm_final().bias.view(1, config_.width)), after_norm_));
  }

  matrix_view<const T> logits() const { return logits_; }
  /// By name, the share of each prompt.
  const std::vector<std::pair<std::string, std::vector<double>>>& addends() const { return addends_; }

  /// The shares [prompts * parts] of a block's k-th layer.
  std::vector<double> of(const Model& model, std::size_t block, std::size_t k) const {
    const parameter_block& at = places_.blocks[block];
    const matrix_view<T> rows = added_[block][k];
    if (at.site != site::attn_z::text) return shares(each_row(name::h, rows), direction_);
    workspace<B> memory(backend_);
    const matrix_view<T> before = memory.take(count_, config_.width);
    backend_.multiply_backward(model.block(at.layers[k]).attn_out, direction_, before);
    const index_t width = config_.width / at.parts;
    return shares(each_row(name::h, rows.reshaped(width)), before.reshaped(width));
  }

 private:
  /// Of an addend in each row of a direction.
  template <typename Addend>
  std::vector<double> shares(Addend addend, matrix_view<const T> direction) const {
    typename B::memory memory = backend_.allocate(direction.rows);
    const matrix_view<T> values = memory.view(1, direction.rows);
    backend_.values(share_of{}, direction.rows, direction.cols, values.data, addend,
                    each_row(frozen_norm::direction, direction));
    const host_matrix<T> host = backend_.download(values);
    std::vector<double> numbers(host.values.size());
    std::ranges::transform(host.values, numbers.begin(), [](T x) { return static_cast<double>(x); });
    return numbers;
  }

  const B& backend_;
  const model_config& config_;
  const parameter_layout& places_;
  workspace<B> memory_;
  index_t count_;
  std::vector<std::vector<matrix_view<T>>> added_;  ///< by block and by layer of the block, [prompts, channels]
  matrix_view<T> stream_ = {}, logits_ = {}, after_norm_ = {}, direction_ = {};
  std::vector<std::pair<std::string, std::vector<double>>> addends_ = {};
};

}  // namespace detail

/// The shares in D of `attn_out`, `mlp_out` and `attn_z`, and as `addends` those of "embedding", "position_embedding"
/// and the "constant" of the final norm's bias. Throws as `attribution` does, and `bad_argument` for other sites and
/// metrics.
template <tensor_backend B, model_architecture A>
place_map direct_logit(const transformer<B, A>& model, std::span<const prompt_pair> prompts,
                       const options& chosen = {.sites = {"attn_out", "mlp_out"}}) {
  using Model = transformer<B, A>;
  using T = typename B::scalar;
  const model_config& config = model.config();
  if (chosen.metric != metric_kind::logit_diff)
    throw error(error_kind::bad_argument, "direct attribution adds up to the logit difference and to no other metric");
  constexpr std::array<std::string_view, 3> added{site::attn_z::text, site::attn_out::text, site::mlp_out::text};
  for (const std::string& name : chosen.sites)
    if (site::find(name) and std::ranges::find(added, name) == added.end())
      throw error(error_kind::bad_argument,
                  "direct attribution is of what is added to the stream, attn_out, mlp_out or "
                  "attn_z; '" +
                      name + "' is not");
  check_prompts(prompts, config.vocabulary);
  require_single_answers(prompts, "explain");
  return with_memory_for("attribute", [&] {
    place_map map = detail::empty_map("direct", config, chosen, prompts);
    std::vector<double> clean;
    std::map<std::string, std::vector<double>> addends;  // each prompt's
    const auto bytes = [&](index_t tokens, index_t count) {
      const index_t kept = 2 * config.vocabulary + (5 + 3 * config.layers) * config.width;
      return bytes_of_pass<T>(config, {tokens, tokens, count}, {0, config.layers}, {no_hooks{}, config.layers},
                              pass_use::forward_only) +
             (tokens * config.width + count * kept) * static_cast<index_t>(sizeof(T));
    };
    detail::each_group(
        chosen.ranks, prompts, chosen.memory, bytes, [&](std::size_t first, std::span<const prompt_pair> some) {
          const detail::direct_shares<Model> shares(model, some, map.places);
          const auto values = detail::scorer<B>(model.backend(), chosen.metric, some).values(shares.logits(), nullptr);
          clean.insert(clean.end(), values.begin(), values.end());
          for (const auto& [name, of_prompts] : shares.addends())
            std::ranges::copy(of_prompts, std::back_inserter(addends[name]));
          for (std::size_t b = 0; b < map.places.blocks.size(); ++b) {
            const parameter_block& block = map.places.blocks[b];
            for (std::size_t k = 0; k < block.layers.size(); ++k) {
              const std::vector<double> found = shares.of(model, b, k);
              for (std::size_t n = 0; n < some.size(); ++n) {
                const int position = positions_of(block.positions, some[n]).back();
                for (index_t part = 0; position >= 0 and part < block.parts; ++part)
                  map.per_prompt[first + n][static_cast<std::size_t>(block.layer_offset(block.layers[k]) +
                                                                     position * block.parts + part)] =
                      found[n * static_cast<std::size_t>(block.parts) + static_cast<std::size_t>(part)];
              }
            }
          }
        });
    for (const char* name : detail::direct_addends)  // also on a rank without a prompt
      for (double x : gathered(chosen.ranks, std::move(addends[name])))
        map.addends[name] += x / static_cast<double>(prompts.size());
    map.clean = detail::mean_of(gathered(chosen.ranks, std::move(clean)));
    detail::take_means(map, chosen.ranks);
    return map;
  });
}

}  // namespace trimtab::explain
