// SPDX-License-Identifier: Apache-2.0

// Where the time of a step goes: the FLOPs and bytes of each part, its time in a real fit, its limit, and its time
// above the limit. The limit is the larger of two times: the FLOPs at the multiply-add peak, and the bytes at the speed
// of memory, both measured here. Prints a table in Markdown.
//
//     bench_train_cost [gpt2|pythia [PROMPTS [LENGTH [THREADS]]]]
//
// GPT-2 small or Pythia-160m, random weights, activ_scalar at three sites.

#include "support/machine.hpp"
#include "support/random_weights.hpp"

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace trimtab;

struct part {
  double seconds = 0, flops = 0, bytes = 0;
};
std::map<std::string, part> parts;

/// The CPU backend, with a clock around each operation. It does not go row by row through several, whose times could
/// not be told apart.
struct timed_backend : eigen_backend<float> {
  using base = eigen_backend<float>;
  using base::base;
  void row_by_row() const = delete;
  using view = matrix_view<float>;
  using const_view = matrix_view<const float>;

  template <typename F>
  static void timed(const std::string& name, double flops, double bytes, F&& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    part& p = parts[name];
    p.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    p.flops += flops;
    p.bytes += bytes;
  }

  /// The name of a product, from its shape.
  static std::string product(index_t in, index_t out) {
    if (out > 10 * in) return "unembedding";
    return out == in ? "attn_out" : out == 3 * in ? "qkv" : out > in ? "mlp_in" : "mlp_out";
  }
  /// Counts the weights once, and all inputs and outputs, which are small beside them or stay in a cache.
  template <typename F>
  static void timed_product(const linear& w, index_t rows, const std::string& suffix, F&& f) {
    const double size = static_cast<double>(w.inputs() * w.outputs()), n = static_cast<double>(rows);
    timed("product " + product(w.inputs(), w.outputs()) + suffix, 2 * size * n,
          4 * (size + n * static_cast<double>(w.inputs() + w.outputs())), f);
  }
  void multiply(const linear& w, const_view x, view y) const {
    timed_product(w, x.rows, "", [&] { base::multiply(w, x, y); });
  }
  void multiply_backward(const linear& w, const_view d_y, view d_x) const {
    timed_product(w, d_y.rows, ", adjoint", [&] { base::multiply_backward(w, d_y, d_x); });
  }

  /// The number of pairs of a query and a key that it attends to, times the width.
  static double pairs(const ragged_shape& shape, index_t width) {
    double sum = 0;
    for (index_t k = 0; k < shape.queries; ++k) sum += 1 + shape.query_positions[k];
    return sum * static_cast<double>(width);
  }
  using base::attention;  // over a cache too, which no fit has
  void attention(const ragged_shape& shape, index_t heads, float scale, const_view qkv, view z) const {
    timed("attention", 4 * pairs(shape, z.cols), 4 * static_cast<double>(qkv.size() + z.size()),
          [&] { base::attention(shape, heads, scale, qkv, z); });
  }
  void attention_backward(const ragged_shape& shape, index_t heads, float scale, const_view qkv, const_view d_z,
                          view d_qkv) const {
    timed("attention, adjoint", 10 * pairs(shape, d_z.cols), 4 * static_cast<double>(2 * qkv.size() + d_z.size()),
          [&] { base::attention_backward(shape, heads, scale, qkv, d_z, d_qkv); });
  }

  template <typename F>
  static std::string text() {
    if constexpr (std::is_same_v<F, layer_norm>) return "LayerNorm";
    if constexpr (std::is_same_v<F, gelu_tanh> or std::is_same_v<F, gelu_erf>) return "GELU";
    if constexpr (std::is_same_v<F, rotary>) return "rotary";
    return "adding and copying rows";
  }
  /// Counts every operand as a matrix of rows, which is nearly right.
  template <typename... Operand>
  static double touched(index_t rows, index_t width) {
    return 4 * static_cast<double>(rows * width) * static_cast<double>(sizeof...(Operand));
  }
  template <typename F, typename... Operand>
  void forward(const F& f, index_t rows, index_t width, Operand... operands) const {
    timed(text<F>(), 0, touched<Operand...>(rows, width), [&] { base::forward(f, rows, width, operands...); });
  }
  template <typename F, typename... Operand>
  void backward(const F& f, index_t rows, index_t width, Operand... operands) const {
    timed(text<F>() + ", adjoint", 0, touched<Operand...>(rows, width),
          [&] { base::backward(f, rows, width, operands...); });
  }
  template <typename Term, typename... Operand>
  void values(const Term& term, index_t rows, index_t width, float* to, Operand... operands) const {
    timed("objective", 0, 8 * static_cast<double>(rows * width),
          [&] { base::values(term, rows, width, to, operands...); });
  }
  template <typename Term, typename... Operand>
  void gradients(const Term& term, index_t rows, index_t width, Operand... operands) const {
    timed("objective", 0, 12 * static_cast<double>(rows * width),
          [&] { base::gradients(term, rows, width, operands...); });
  }
  template <intervention_policy P>
  void intervene(const P& policy, const_view h, view out, const float* theta, const bound_rows<float>& rows) const {
    timed("interventions", 0, 8 * static_cast<double>(h.size()), [&] { base::intervene(policy, h, out, theta, rows); });
  }
  template <intervention_policy P>
  void intervene_backward(const P& policy, const_view h, const_view d_out, view d_h, const float* theta, float* d_theta,
                          float* partial, const bound_rows<float>& rows) const {
    timed("interventions, adjoint", 0, 12 * static_cast<double>(h.size()),
          [&] { base::intervene_backward(policy, h, d_out, d_h, theta, d_theta, partial, rows); });
  }
};

template <typename Model>
void print_cost(const model_config& config, int prompt_count, int length, int threads) {
  constexpr int steps = 10;
  const Model model{test::random_weights(config), timed_backend(threads)};
  random_generator random(1);
  std::vector<prompt_pair> prompts(static_cast<std::size_t>(prompt_count));
  for (prompt_pair& p : prompts) {
    for (int i = 0; i < length; ++i) p.ids.push_back(static_cast<int>(random.below(50257)));
    p.correct_id = 7;
    p.wrong_id = 8;
  }
  const policy::activ_scalar p;
  const trainer learner(steer(model, at(site::attn_out{}, p), at(site::mlp_out{}, p), at(site::resid_post{}, p)),
                        objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.03 * objective::minimality{},
                        adam{});

  using clock = std::chrono::steady_clock;
  auto run = learner.start(prompts);
  while (run.step() < 2) {
  }
  run.losses();
  parts.clear();
  const auto start = clock::now();
  for (int k = 0; k < steps; ++k) {
    run.step();
    run.losses();
  }
  const double step = std::chrono::duration<double>(clock::now() - start).count() / steps;

  double peak = 0, bandwidth = 0;
  for (int k = 0; k < 5; ++k) {
    peak = std::max(peak, measured::fma_rate(threads));
    bandwidth = std::max(bandwidth, measured::copy_rate(threads));
  }
  std::printf("%s, %d prompts of %d tokens at two strengths, %d thread(s): %.1f ms a step.\n",
              config.architecture.c_str(), prompt_count, length, threads, 1e3 * step);
  std::printf("Multiply-add peak %.0f GFLOP/s, memory %.0f GB/s (copy, read and written).\n\n", peak / 1e9,
              bandwidth / 1e9);
  std::printf("| part | GFLOP | MB | ms | share | limit ms | above |\n| --- | --- | --- | --- | --- | --- | --- |\n");
  double limits = 0, seconds = 0, flops = 0, bytes = 0;
  const auto line = [&](const char* name, double f, double b, double s, double limit) {
    std::printf("| %s | %.2f | %.1f | %.2f | %.1f %% | %.2f | %.2f |\n", name, f / 1e9, b / 1e6, 1e3 * s,
                100 * s / step, 1e3 * limit, 1e3 * (s - limit));
  };
  for (const auto& [name, all] : parts) {
    const part one{all.seconds / steps, all.flops / steps, all.bytes / steps};
    const double limit = std::max(one.flops / peak, one.bytes / bandwidth);
    line(name.c_str(), one.flops, one.bytes, one.seconds, limit);
    seconds += one.seconds, flops += one.flops, bytes += one.bytes, limits += limit;
  }
  line("the rest", 0, 0, step - seconds, 0);
  line("a step", flops, bytes, step, limits);
}

}  // namespace

int main(int count, char** words) {
  const auto word = [&](int k, const char* otherwise) { return std::string(k < count ? words[k] : otherwise); };
  const int prompts = std::stoi(word(2, "8")), length = std::stoi(word(3, "12")), threads = std::stoi(word(4, "1"));
  model_config config{.architecture = "gpt2",
                      .layers = 12,
                      .width = 768,
                      .heads = 12,
                      .hidden = 3072,
                      .context = 1024,
                      .vocabulary = 50257};
  if (word(1, "gpt2") == "gpt2") {
    print_cost<gpt2<timed_backend>>(config, prompts, length, threads);
  } else {
    config.architecture = "gpt_neox";
    config.context = 2048;
    config.vocabulary = 50304;
    config.nonlinearity = activation::gelu_erf;
    config.rotary_channels = 16;
    config.parallel_residual = true;
    print_cost<gpt_neox<timed_backend>>(config, prompts, length, threads);
  }
}
