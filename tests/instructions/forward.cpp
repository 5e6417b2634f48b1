// SPDX-License-Identifier: Apache-2.0

// A forward pass in one of several variants, whose instructions compare.cmake counts. `plain` is written out here,
// block by block, without hooks; the others are the library's pass.

#include "support/own.hpp"

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace trimtab;
using test::channel_gain;
using backend = eigen_backend<float>;
using model_type = gpt2<backend>;
using view = matrix_view<float>;

/// Weights that are quick to make, because making them runs under valgrind too. Their values do not change the counts.
struct cheap_weights {
  model_config shape;
  mutable std::uint32_t state = 1;

  const model_config& config() const { return shape; }

  template <typename T>
  host_matrix<T> matrix(index_t rows, index_t cols) const {
    host_matrix<T> m(rows, cols);
    for (T& x : m.values) {
      state = state * 1664525u + 1013904223u;
      x = static_cast<T>(state >> 8) * static_cast<T>(0.1 / 16777216) - static_cast<T>(0.05);
    }
    return m;
  }
  template <typename T>
  linear_weights<T> linear(index_t in, index_t out) const {
    return {matrix<T>(in, out), matrix<T>(1, out)};
  }
  template <typename T>
  layer_norm_weights<T> norm() const {
    return {matrix<T>(1, shape.width), matrix<T>(1, shape.width)};
  }
  template <typename T>
  block_weights<T> block(index_t) const {
    const index_t width = shape.width;
    return {norm<T>(), linear<T>(width, 3 * width),    linear<T>(width, width),
            norm<T>(), linear<T>(width, shape.hidden), linear<T>(shape.hidden, width)};
  }
  template <typename T>
  outer_weights<T> outer() const {
    return {matrix<T>(shape.vocabulary, shape.width), matrix<T>(shape.context, shape.width), norm<T>(), {}};
  }
};

/// The part of the program whose instructions are counted.
template <typename F>
[[gnu::noinline]] void counted_forward(F& f) {
  f();
}

/// Runs the pass once without counting, because some things are made on first use, and then counts the second run.
template <typename F>
int run(F f, view result) {
  f();
  counted_forward(f);
  std::printf("%.6f\n", static_cast<double>(result.data[0]));
  return 0;
}

struct setting {
  model_config config{
      .architecture = "gpt2", .layers = 2, .width = 768, .heads = 12, .hidden = 3072, .context = 16, .vocabulary = 100};
  model_type model{cheap_weights{config}, backend(1)};
  std::vector<prompt_pair> prompts = std::vector<prompt_pair>(1);
  workspace<backend> memory{model.backend()};

  setting() {
    for (int i = 0; i < 8; ++i) prompts[0].ids.push_back(i * 7);
    prompts[0].correct_id = 1;
    prompts[0].wrong_id = 2;
  }
  batch<backend> rows() const { return batch<backend>(model.backend(), config, ids_of(prompts), scored::all); }
  view stream(const batch<backend>& rows) {
    const view x = memory.take(rows.rows(), config.width);
    model.embed(rows, x);
    return x;
  }
};

int plain(setting& s) {
  const auto rows = s.rows();
  const index_t n = rows.rows(), width = s.config.width;
  const view x = s.stream(rows), norm = s.memory.take(n, width), qkv = s.memory.take(n, 3 * width),
             z = s.memory.take(n, width), attn_out = s.memory.take(n, width), middle = s.memory.take(n, width),
             pre = s.memory.take(n, s.config.hidden), post = s.memory.take(n, s.config.hidden),
             mlp_out = s.memory.take(n, width), out = s.memory.take(n, width),
             logits = s.memory.take(n, s.config.vocabulary);
  const backend& b = s.model.backend();
  const block_parts<model_type::backend_type> parts(s.model, rows);
  const auto forward = [&] {
    view in = x;
    for (index_t l = 0; l < s.config.layers; ++l) {
      const auto& w = s.model.block(l);
      parts.normalise(b, w.norm_1, in, norm);
      b.multiply(w.qkv, norm, qkv);
      b.attention(rows.all(), s.config.heads, s.config.attention_scale<backend::scalar>(l), qkv, z);
      b.multiply(w.attn_out, z, attn_out);
      if (l == s.config.layers - 1)
        parts.add_and_normalise(b, w.norm_2, selected_row(name::h, in, rows.query_rows()), attn_out, middle, norm);
      else
        parts.add_and_normalise(b, w.norm_2, each_row(name::h, in), attn_out, middle, norm);
      b.multiply(w.mlp_in, norm, pre);
      parts.activate(b, pre, post);
      b.multiply(w.mlp_out, post, mlp_out);
      parts.add(b, each_row(name::h, middle), mlp_out, out);
      in = out;
    }
    parts.normalise(b, s.model.norm_final(), in, norm);
    b.multiply(s.model.unembedding(), norm, logits);
  };
  return run(forward, logits);
}

int unsteered(setting& s) {
  const auto rows = s.rows();
  const view x = s.stream(rows), logits = s.memory.take(rows.queries(), s.config.vocabulary);
  pass<model_type> p(s.model, rows, {0, s.config.layers});
  return run([&] { p.unembed(p.forward(x), logits); }, logits);
}

template <typename... Site, typename Policy>
int steered_at(setting& s, Policy policy, layer_set in) {
  const auto composition = steer(s.model, at(Site{}, policy, in, positions::shared())...);
  const auto layout = composition.layout(s.prompts);
  const auto sequences = every_strength(1, std::vector<double>{1.0});
  const binding<backend> bound(s.model.backend(), s.config, {layout}, s.prompts, sequences, scored::all);
  const auto rows = s.rows();
  const view x = s.stream(rows), logits = s.memory.take(rows.queries(), s.config.vocabulary);
  pass<model_type, typename decltype(composition)::hooks_type> p(s.model, rows, {0, s.config.layers},
                                                                 composition.hooks(bound));
  return run([&] { p.unembed(p.forward(x), logits); }, logits);
}

template <typename Policy>
int everywhere(setting& s, Policy policy, layer_set in = layers::all()) {
  return steered_at<site::resid_pre, site::attn_z, site::attn_out, site::resid_mid, site::mlp_post, site::mlp_out,
                    site::resid_post>(s, policy, in);
}

}  // namespace

int main(int count, char** words) {
  const std::string variant = count == 2 ? words[1] : "";
  setting s;
  if (variant == "plain") return plain(s);
  if (variant == "unsteered") return unsteered(s);
  if (variant == "hooked_nowhere") return everywhere(s, policy::activ_scalar{}, layers::none());
  if (variant == "activ_scalar") return everywhere(s, policy::activ_scalar{});
  if (variant == "own_policy") return everywhere(s, channel_gain{});
  return 2;
}
