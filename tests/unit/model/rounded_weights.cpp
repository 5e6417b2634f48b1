// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen.hpp>
#include <trimtab/model/rounded_weights.hpp>
#include <trimtab/steer/baseline.hpp>

#include "support/gradients.hpp"
#include "support/refusal.hpp"
#include "support/small_models.hpp"

#include <algorithm>
#include <vector>

namespace trimtab::test::rounded_weights_tests {

namespace {

/// Random weights whose matrices a 16-bit type holds exactly.
template <typename Stored>
struct stored_weights_source : random_weights {
  using random_weights::random_weights;

  template <typename T>
  block_weights<T> block(index_t layer) const {
    return rounded(random_weights::block<T>(layer), stored::type_of<Stored>);
  }
  template <typename T>
  outer_weights<T> outer() const {
    return rounded(random_weights::outer<T>(), stored::type_of<Stored>);
  }
};

template <typename Model>
host_matrix<float> logits_of(const Model& model) {
  const std::vector<std::vector<int>> ids{{1, 5, 3, 2}, {7, 0}, {4}};
  return model.backend().download(baseline(model, ids, 0).logits());
}

}  // namespace

TEMPLATE_TEST_CASE("A model stored in 16 bits gives the bits of its copy in float32, and one that rounds is that model",
                   "", stored::float16, stored::bfloat16) {
  using Stored = TestType;
  const auto check = [&]<typename Kind>(Kind) {
    const auto config = Kind::config();
    using model = typename Kind::template model<eigen_backend<float>>;
    const stored_weights_source<Stored> source(config, 3);
    const model as_stored(source, eigen_backend<float>(1));
    const model wide(source, eigen_backend<float>(2, weight_type::float32));
    CHECK(same_bits(logits_of(as_stored), logits_of(wide)));
    CHECK(as_stored.hash_of_weights() == wide.hash_of_weights());

    const random_weights exact(config, 3);
    const model rounding(exact, eigen_backend<float>(1, stored::type_of<Stored>));
    CHECK(same_bits(logits_of(rounding), logits_of(wide)));
    CHECK(rounding.hash_of_weights() == wide.hash_of_weights());
    const typename Kind::template model<eigen_backend<float, Stored>> by_type(exact);
    CHECK(by_type.hash_of_weights() == wide.hash_of_weights());
    CHECK(largest_difference(converted<double>(logits_of(by_type)).values, converted<double>(logits_of(wide)).values) <
          1e-4);
    const model unrounded(exact, eigen_backend<float>(1));
    CHECK_FALSE(same_bits(logits_of(unrounded), logits_of(wide)));
    CHECK(unrounded.hash_of_weights() != wide.hash_of_weights());
  };
  check(small_gpt2{});
  check(small_neox_parallel{});
}

TEST_CASE("Matrices and embeddings are rounded, gains, biases and positions are not") {
  const float odd = 1 + 0x1p-12f;
  const auto filled = [odd](host_matrix<float>& m) {
    m = host_matrix<float>(2, 3);
    std::ranges::fill(m.values, odd);
  };
  block_weights<float> block;
  outer_weights<float> outer;
  for (auto* map : {&block.qkv, &block.attn_out, &block.mlp_in, &block.mlp_out}) filled(map->weight), filled(map->bias);
  for (auto* norm : {&block.norm_1, &block.norm_2, &outer.norm_final}) filled(norm->gain), filled(norm->bias);
  for (auto* m : {&outer.token_embedding, &outer.position_embedding, &outer.unembedding}) filled(*m);
  const auto all = [](const host_matrix<float>& m, float value) { return std::ranges::count(m.values, value) == 6; };
  block = rounded(block, weight_type::float16);
  outer = rounded(outer, weight_type::float16);
  for (const auto* map : {&block.qkv, &block.attn_out, &block.mlp_in, &block.mlp_out})
    CHECK((all(map->weight, 1) and all(map->bias, odd)));
  for (const auto* norm : {&block.norm_1, &block.norm_2, &outer.norm_final})
    CHECK((all(norm->gain, odd) and all(norm->bias, odd)));
  CHECK((all(outer.token_embedding, 1) and all(outer.unembedding, 1) and all(outer.position_embedding, odd)));
}

TEST_CASE("A weight beyond the range of a type is refused") {
  block_weights<float> weights;
  weights.mlp_in.weight = host_matrix<float>(1, 2);
  weights.mlp_in.weight(0, 1) = 65520;  // the least number that rounds to infinity in binary16
  CHECK(refusal(error_kind::bad_argument, [&] { rounded(weights, weight_type::float16); }) ==
        "the weight 65520.000000 is too large for float16; use bfloat16");
  CHECK(rounded(weights, weight_type::bfloat16).mlp_in.weight(0, 1) == 65536);
  weights.mlp_in.weight(0, 1) = 65519;
  CHECK(rounded(weights, weight_type::float16).mlp_in.weight(0, 1) == 65504);
  CHECK(rounded(weights, weight_type::as_in_file).mlp_in.weight(0, 1) == 65519);
}

}  // namespace trimtab::test::rounded_weights_tests
