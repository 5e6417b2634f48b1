// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen.hpp>
#include <trimtab/explain/attribution.hpp>
#include <trimtab/explain/patching.hpp>

#include "support/explained.hpp"

#include <memory>

namespace trimtab::test::cost_tests {

// What a map costs, in rows of products with the model's matrices.

namespace {

struct products {
  index_t forward = 0, backward = 0;            ///< calls
  index_t forward_rows = 0, backward_rows = 0;  ///< rows of all calls

  friend products operator-(const products& a, const products& b) {
    return {a.forward - b.forward, a.backward - b.backward, a.forward_rows - b.forward_rows,
            a.backward_rows - b.backward_rows};
  }
};

class counting_backend : public eigen_backend<double> {
 public:
  counting_backend() : eigen_backend(1) {}

  void multiply(const linear& w, matrix_view<const double> x, matrix_view<double> y) const {
    ++done_->forward, done_->forward_rows += x.rows;
    eigen_backend::multiply(w, x, y);
  }
  void multiply_backward(const linear& w, matrix_view<const double> d_y, matrix_view<double> d_x) const {
    ++done_->backward, done_->backward_rows += d_y.rows;
    eigen_backend::multiply_backward(w, d_y, d_x);
  }
  products done() const { return *done_; }

 private:
  std::shared_ptr<products> done_ = std::make_shared<products>();
};

template <typename Kind>
struct counted {
  typename Kind::template model<counting_backend> model{random_weights(Kind::config()), counting_backend()};
  std::vector<prompt_pair> prompts = corrupted_prompts(model.config(), {5, 3});

  template <typename F>
  products cost(F f) const {
    const products before = model.backend().done();
    f();
    return model.backend().done() - before;
  }
  products forward() const {
    return cost([&] { logits(model, ids_of(prompts)); });
  }
};

}  // namespace

TEMPLATE_TEST_CASE("an attribution map is two forward passes and one backward pass", "", small_gpt2,
                   small_neox_parallel) {
  const counted<TestType> c;
  const products one = c.forward();
  CHECK(one.forward == 4 * c.model.config().layers + 1);
  using enum explain::attribution_kind;
  const auto cost = [&](explain::attribution_kind kind) {
    return c.cost([&] {
      explain::attribution(c.model, c.prompts, {.sites = all_sites<TestType>(), .attribute = kind, .steps = 3});
    });
  };
  const products found = cost(patching);
  CHECK(found.forward == 2 * one.forward);
  CHECK(found.forward_rows == 2 * one.forward_rows);
  CHECK(found.backward == one.forward);
  CHECK(found.backward_rows == one.forward_rows);
  CHECK(cost(gradient).forward_rows == one.forward_rows);
  CHECK(cost(gradient).backward_rows == one.forward_rows);
  CHECK(cost(integrated).forward == 3 * one.forward);  // the runs between the two are one batch
  CHECK(cost(integrated).forward_rows == (2 + 3) * one.forward_rows);
  CHECK(cost(integrated).backward_rows == 3 * one.forward_rows);
}

TEMPLATE_TEST_CASE("an exact run has rows from the layer and the token of its place on", "", small_gpt2,
                   small_neox_parallel) {
  const counted<TestType> c;
  const index_t layers = c.model.config().layers;
  index_t expected = 2 * c.forward().forward_rows;
  for (const std::string& site : all_sites<TestType>())
    for (const prompt_pair& p : c.prompts)
      for (index_t l = 0; l < layers; ++l)
        for (index_t rows = std::ssize(p.ids); rows > 0; --rows) {
          const bool enters = site == "resid_pre", last = l == layers - 1;
          if (last and not enters and rows > 1) continue;  // not read
          // Four products a layer. Of the last layer all rows have keys, and the scored one has the rest and the answers.
          const index_t own = enters or last ? 0 : 4, whole = layers - 1 - (enters or last ? l : l + 1);
          expected += own + whole * 4 * rows + rows + 4;
        }
  CHECK(c.cost([&] { explain::patching(c.model, c.prompts, {.sites = all_sites<TestType>()}); }).forward_rows ==
        expected);
}

}  // namespace trimtab::test::cost_tests
