// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen.hpp>
#include <trimtab/steer/baseline.hpp>

#include "support/gradients.hpp"
#include "support/refusal.hpp"
#include "support/small_models.hpp"

#include <cmath>
#include <vector>

namespace trimtab::test::transformer_tests {

namespace {

using row_values = std::vector<double>;

row_values product(const row_values& x, const linear_weights<double>& w) {
  auto y = w.bias.values;
  for (index_t k = 0; k < w.weight.rows; ++k)
    for (index_t j = 0; j < w.weight.cols; ++j)
      y[static_cast<std::size_t>(j)] += x[static_cast<std::size_t>(k)] * w.weight(k, j);
  return y;
}

row_values normalised(const row_values& x, const layer_norm_weights<double>& w, double epsilon) {
  double mean = 0, variance = 0;
  const auto n = static_cast<double>(x.size());
  for (double v : x) mean += v / n;
  for (double v : x) variance += (v - mean) * (v - mean) / n;
  auto y = x;
  for (std::size_t j = 0; j < y.size(); ++j)
    y[j] = (x[j] - mean) / std::sqrt(variance + epsilon) * w.gain.values[j] + w.bias.values[j];
  return y;
}

void add(row_values& x, const row_values& y) {
  for (std::size_t j = 0; j < x.size(); ++j) x[j] += y[j];
}

/// The model written out directly from its formulas: one prompt, one number at a time.
class paper_model {
 public:
  explicit paper_model(const random_weights& source) : c_(source.config()), outer_(source.outer<double>()) {
    for (index_t l = 0; l < c_.layers; ++l) blocks_.push_back(source.block<double>(l));
  }

  /// Logits at every position.
  std::vector<row_values> logits(const std::vector<int>& ids) const {
    std::vector<row_values> x;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      row_values row;
      for (index_t j = 0; j < c_.width; ++j)
        row.push_back(outer_.token_embedding(ids[i], j) +
                      (c_.rotary_channels == 0 ? outer_.position_embedding(static_cast<index_t>(i), j) : 0.0));
      x.push_back(row);
    }
    for (std::size_t l = 0; l < blocks_.size(); ++l) {
      const auto& w = blocks_[l];
      const auto attention = attend(x, w, static_cast<double>(l));
      for (std::size_t i = 0; i < x.size(); ++i) {
        const auto before = x[i];
        add(x[i], attention[i]);
        add(x[i], mlp(c_.parallel_residual ? before : x[i], w));
      }
    }
    const auto& unembedding = outer_.unembedding.empty() ? outer_.token_embedding : outer_.unembedding;
    std::vector<row_values> z;
    for (const auto& row : x) {
      const auto norm = normalised(row, outer_.norm_final, c_.layer_norm_epsilon);
      z.emplace_back();
      for (index_t v = 0; v < c_.vocabulary; ++v) {
        z.back().push_back(0);
        for (index_t j = 0; j < c_.width; ++j) z.back().back() += norm[static_cast<std::size_t>(j)] * unembedding(v, j);
      }
    }
    return z;
  }

 private:
  std::vector<row_values> attend(const std::vector<row_values>& x, const block_weights<double>& w, double layer) const {
    const double divisor = (c_.scale_attention ? std::sqrt(static_cast<double>(c_.head_width())) : 1) *
                           (c_.scale_attention_by_layer ? layer + 1 : 1);
    const auto width = static_cast<std::size_t>(c_.width), head = static_cast<std::size_t>(c_.head_width());
    std::vector<row_values> qkv, out;
    for (std::size_t i = 0; i < x.size(); ++i) {
      qkv.push_back(product(normalised(x[i], w.norm_1, c_.layer_norm_epsilon), w.qkv));
      for (std::size_t first = 0; first < 2 * width; first += head) turn(&qkv.back()[first], static_cast<double>(i));
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      row_values z(width);
      for (std::size_t first = 0; first < width; first += head) {
        row_values p;
        double sum = 0;
        for (std::size_t j = 0; j <= i; ++j) {
          double score = 0;
          for (std::size_t k = first; k < first + head; ++k) score += qkv[i][k] * qkv[j][width + k];
          sum += p.emplace_back(std::exp(score / divisor));
        }
        for (std::size_t j = 0; j <= i; ++j)
          for (std::size_t k = first; k < first + head; ++k) z[k] += p[j] / sum * qkv[j][2 * width + k];
      }
      out.push_back(product(z, w.attn_out));
    }
    return out;
  }

  /// Rotary positions of one head: channel k pairs with k + r/2.
  void turn(double* head, double position) const {
    const auto r = c_.rotary_channels;
    for (index_t k = 0; k < r / 2; ++k) {
      const double angle = position * std::pow(c_.rotary_base, -2.0 * static_cast<double>(k) / static_cast<double>(r));
      const double a = head[k], b = head[k + r / 2];
      head[k] = a * std::cos(angle) - b * std::sin(angle);
      head[k + r / 2] = b * std::cos(angle) + a * std::sin(angle);
    }
  }

  row_values mlp(const row_values& x, const block_weights<double>& w) const {
    auto hidden = product(normalised(x, w.norm_2, c_.layer_norm_epsilon), w.mlp_in);
    for (double& u : hidden) u *= gate(u);
    return product(hidden, w.mlp_out);
  }

  /// What the nonlinearity multiplies its input by.
  double gate(double u) const {
    const auto by_tanh = [&](double slope) { return (1 + std::tanh(slope * (u + 0.044715 * u * u * u))) / 2; };
    const auto by_sigmoid = [&](double slope) { return 1 / (1 + std::exp(-slope * u)); };
    switch (c_.nonlinearity) {
      case activation::gelu_tanh: return by_tanh(std::sqrt(2 / std::acos(-1.0)));
      case activation::gelu_fast: return by_tanh(0.7978845608);
      case activation::gelu_erf: return (1 + std::erf(u / std::sqrt(2.0))) / 2;
      case activation::quick_gelu: return by_sigmoid(1.702);
      case activation::silu: return by_sigmoid(1);
      case activation::relu: break;
    }
    return u > 0 ? 1 : 0;
  }

  model_config c_;
  outer_weights<double> outer_;
  std::vector<block_weights<double>> blocks_;
};

template <typename Kind>
void check_against_paper(const model_config& config, bool tied) {
  const random_weights weights(config, 7, tied);
  const typename Kind::template model<eigen_backend<double>> model(weights, eigen_backend<double>(1));
  const typename Kind::template model<eigen_backend<float>> single(weights, eigen_backend<float>(1));
  const paper_model paper(weights);
  const std::vector<std::vector<int>> prompts{{3, 1, 4, 1, 5, 9, 2}, {6}, {5, 3}};
  const auto all = logits(model, prompts, scored::all), last = logits(model, prompts);
  const auto single_all = logits(single, prompts, scored::all);
  index_t row = 0, prompt = 0;
  for (const auto& ids : prompts) {
    for (const auto& expected : paper.logits(ids)) {
      for (index_t v = 0; v < config.vocabulary; ++v) {
        CHECK(std::abs(all(row, v) - expected[static_cast<std::size_t>(v)]) < 1e-13 * 30);
        CHECK(std::abs(static_cast<double>(single_all(row, v)) - expected[static_cast<std::size_t>(v)]) < 1e-4);
      }
      ++row;
    }
    for (index_t v = 0; v < config.vocabulary; ++v) CHECK(last(prompt, v) == all(row - 1, v));
    ++prompt;
  }
}

}  // namespace

TEMPLATE_TEST_CASE("A model agrees with its formulas written out directly", "", small_gpt2, small_neox_parallel,
                   small_neox_sequential) {
  const auto config = TestType::config();
  check_against_paper<TestType>(config, config.architecture == "gpt2");
  SECTION("with the embedding tied otherwise") { check_against_paper<TestType>(config, config.architecture != "gpt2"); }
  SECTION("with one layer") {
    auto one = config;
    one.layers = 1;
    check_against_paper<TestType>(one, false);
  }
  SECTION("with any nonlinearity") {
    auto other = config;
    other.nonlinearity = GENERATE(activation::gelu_tanh, activation::gelu_fast, activation::gelu_erf,
                                  activation::quick_gelu, activation::silu, activation::relu);
    check_against_paper<TestType>(other, false);
  }
  SECTION("with any scale of attention scores") {
    auto other = config;
    other.scale_attention = GENERATE(true, false);
    other.scale_attention_by_layer = GENERATE(true, false);
    check_against_paper<TestType>(other, false);
  }
}

TEST_CASE("A layer's scale of attention scores is what the configuration says") {
  model_config config{.width = 12, .heads = 3};
  CHECK(config.attention_scale<double>(1) == 0.5);
  config.scale_attention_by_layer = true;
  CHECK(config.attention_scale<double>(0) == 0.5);
  CHECK(config.attention_scale<float>(2) == 0.5f / 3);
  config.scale_attention = false;
  CHECK(config.attention_scale<float>(2) == 1.0f / 3);
  config.scale_attention_by_layer = false;
  CHECK(config.attention_scale<double>(2) == 1);
}

TEST_CASE("Rotary positions can rotate all channels of a head, with another base") {
  auto config = small_neox_parallel::config();
  config.width = 12, config.rotary_channels = 6, config.rotary_base = 100;
  check_against_paper<small_neox_parallel>(config, false);
}

TEST_CASE("A model of one kind is not read as another") {
  const random_weights weights(small_neox_sequential::config(), 1);
  CHECK_THAT(refusal(error_kind::mismatch, [&] { const gpt_neox<eigen_backend<float>> m(weights); }),
             Catch::Matchers::ContainsSubstring("gpt_neox with sequential residual") &&
                 Catch::Matchers::ContainsSubstring("gpt_neox_sequential"));
  refusal(error_kind::mismatch, [&] { const gpt2<eigen_backend<float>> m(weights); });
}

}  // namespace trimtab::test::transformer_tests
