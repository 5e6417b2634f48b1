// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace trimtab::test::allocations_tests {

namespace {

std::atomic<long> allocations = 0;

void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  if (void* const p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)) return p;
  throw std::bad_alloc();
}

}  // namespace

}  // namespace trimtab::test::allocations_tests

// All allocations of this program go through these functions. They are not inlined, because g++ 12 would then warn that
// `free` does not match `new`.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  return trimtab::test::allocations_tests::counted(bytes, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return trimtab::test::allocations_tests::counted(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {  // used by std::stable_sort
  ++trimtab::test::allocations_tests::allocations;
  return std::malloc(bytes);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace trimtab::test::allocations_tests {

namespace {

template <typename Kind>
long allocations_of_a_step() {
  const auto model =
      typename Kind::template model<eigen_backend<float>>(random_weights(Kind::config(), 1), eigen_backend<float>(2));
  const auto prompts = random_prompts(model.config(), {5, 1, 9});
  const auto composition =
      hook_all_sites<Kind, 1>(model, hooked_places::everywhere<Kind>({positions::from_end(9), positions::shared()}));
  const auto layout = composition.layout(prompts);
  const std::vector<double> strengths{1, -1};
  const auto sequences = every_strength(3, strengths);
  steered run(composition, {layout}, prompts, sequences, pass_use::forward_and_backward);
  const loss objective(model.backend(), 1.0 * objective::effectiveness{} + 1.0 * objective::faithfulness{}, prompts,
                       sequences);
  const auto step = [&] {
    const auto logits = run.forward();
    objective.gradient(logits, run.untouched()->logits(), run.d_logits());
    run.backward();
  };
  step();
  const long before = allocations;
  step();
  return allocations - before;
}

long allocations_of_a_fit(index_t steps) {
  using kind = small_gpt2;
  const auto model = kind::model<eigen_backend<float>>(random_weights(kind::config(), 1), eigen_backend<float>(2));
  const auto prompts = random_prompts(model.config(), {5, 1, 9});
  const trainer learner(steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::shared()),
                              at(site::resid_post{}, policy::affine{}, layers::all(), positions::shared())),
                        objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.03 * objective::minimality{},
                        adam{});
  const long before = allocations;
  learner.fit(prompts, {.steps = steps});
  return allocations - before;
}

}  // namespace

TEST_CASE("A step of a fit allocates only its entry in the history") {
  allocations_of_a_fit(1);  // here the threads allocate their scratch memory
  CHECK(allocations_of_a_fit(50) - allocations_of_a_fit(10) == 40);
}

TEST_CASE("After the first, a step forwards and backwards allocates no memory") {
  const long before = allocations;
  CHECK_FALSE(std::vector<int>(10).empty());
  CHECK(allocations > before);  // allocations are counted
  CHECK(allocations_of_a_step<small_gpt2>() == 0);
  CHECK(allocations_of_a_step<small_neox_parallel>() == 0);
  CHECK(allocations_of_a_step<small_neox_sequential>() == 0);
}

}  // namespace trimtab::test::allocations_tests
