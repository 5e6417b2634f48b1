// SPDX-License-Identifier: Apache-2.0
#include "parity/cuda/compare.hpp"

#include <utility>

namespace trimtab::test::operations_tests {

namespace {

// Widths of rows: narrow and wide, aligned to 16 bytes or not, with fewer or more channels than threads.
constexpr index_t widths[] = {1, 3, 4, 33, 64, 100, 129, 260, 1030, 1284};

template <typename Use, typename Inputs, std::size_t... K, typename... Name>
void with_names(Use use, Inputs& inputs, std::index_sequence<K...>, Name... names) {
  use(each_row(names, inputs[K].view().as_const())...);
}

/// `out`, then `d_h`, of a row function; `names` are its further inputs.
template <typename B, typename F, typename... Name>
std::vector<double> run(const B& backend, const F& f, index_t width, bool in_place, Name... names) {
  const index_t rows = 5;
  on_device<B> h(backend, random_matrix<double>(rows, width, 1)), out(backend, not_numbers(rows, width));
  on_device<B> d_out(backend, random_matrix<double>(rows, width, 2)), d_h(backend, not_numbers(rows, width));
  std::uint64_t seed = 3;
  const auto further = [&](auto use) {
    std::vector<on_device<B>> inputs;
    inputs.reserve(sizeof...(names));
    ((static_cast<void>(names), inputs.emplace_back(backend, random_matrix<double>(rows, width, seed++, 0.5, 1))), ...);
    with_names(use, inputs, std::index_sequence_for<Name...>{}, names...);
  };
  auto& result = in_place ? h : out;
  auto& d_result = in_place ? d_out : d_h;
  const auto backward = [&] {
    further([&](auto... inputs) {
      backend.backward(f, rows, width, each_row(name::h, h.view()), each_row(name::out, out.view()),
                       each_row(grad(name::out), d_out.view()), each_row(grad(name::h), d_result.view()), inputs...);
    });
  };
  const auto forward = [&] {
    further([&](auto... inputs) {
      backend.forward(f, rows, width, each_row(name::h, h.view()), each_row(name::out, result.view()), inputs...);
    });
  };
  std::vector<double> all;
  const auto keep = [&](on_device<B>& m) {
    const auto numbers = m.numbers();
    all.insert(all.end(), numbers.begin(), numbers.end());
  };
  if (in_place) {
    backward();
    keep(d_result);
    forward();
    keep(result);
  } else {
    forward();
    keep(result);
    backward();
    keep(d_result);
  }
  return all;
}

template <typename F, typename... Name>
void check(const F& f, bool also_in_place, Name... names) {
  const auto device = watched_backend();
  for (index_t width : widths)
    for (bool in_place : {false, true}) {
      if (in_place and not also_in_place) continue;
      CAPTURE(width, in_place);
      const auto right = run(eigen_backend<double>(1), f, width, in_place, names...);
      const auto found = run(device, f, width, in_place, names...);
      CHECK(relative_difference(found, right) < 1e-5);
      if (width == 1030 and not in_place) check_repeats([&] { return run(device, f, width, false, names...); });
    }
}

/// The sum, its norm, and the gradient from both.
template <typename B>
std::vector<double> run_residual_norm(const B& backend, index_t width) {
  const index_t rows = 5;
  std::uint64_t seed = 0;
  const auto numbers = [&] { return on_device<B>(backend, random_matrix<double>(rows, width, ++seed, 0.5, 1)); };
  auto h = numbers(), branch = numbers(), gain = numbers(), bias = numbers(), d_out = numbers(), d_sum = numbers();
  on_device<B> sum(backend, not_numbers(rows, width)), out(backend, not_numbers(rows, width)),
      d_h(backend, not_numbers(rows, width));
  backend.forward(residual_norm{}, rows, width, each_row(name::h, h.view()), each_row(residual::branch, branch.view()),
                  each_row(residual_norm::sum, sum.view()), each_row(name::out, out.view()),
                  each_row(layer_norm::gain, gain.view()), each_row(layer_norm::bias, bias.view()));
  backend.backward(residual_norm{}, rows, width, each_row(residual_norm::sum, sum.view().as_const()),
                   each_row(grad(name::out), d_out.view()), each_row(grad(residual_norm::sum), d_sum.view().as_const()),
                   each_row(grad(name::h), d_h.view()), each_row(layer_norm::gain, gain.view()));
  std::vector<double> all;
  for (auto* m : {&sum, &out, &d_h}) {
    const auto found = m->numbers();
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

/// Reads channels that other threads wrote, so each verb must see what the verb before it wrote.
struct mirror {
  static constexpr bool crosses_channels = true;

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.h(j) + 1; });
    const auto sum = r.sum([&](auto j) { return r.out(r.width() - 1 - j) * r.h(j); });
    r.each([&](auto j) { r.out(j) = sum + r.h(r.width() - 1 - j); });
    const auto top = r.max([&](auto j) { return r.out(j); });
    r.at(r.width() / 2, [&](auto j) { r.out(j) = top; });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d_out(r.width() - 1 - j); });
  }
};

/// Also reads other channels, but does not declare `crosses_channels`: that is slower on a device, but must be right.
struct quiet_mirror {
  constexpr void forward(row auto& r) const {
    r.each([&](auto j) {
      const index_t own = j, other = r.width() - 1 - j;
      r.out(own) = r.h(own);
      r.out(j) += r.h(other);
    });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](index_t j) { r.d_h(j) = r.d_out(j); });
  }
};

struct rows_with_policy {
  index_t width;
  std::vector<int> record;  ///< -1: the row is left alone
};

/// out, d_h, the gradient of the parameters, and out once more, in place of h, where the policy can.
template <typename B, typename P>
std::vector<double> run_policy(const B& backend, P policy, const rows_with_policy& s) {
  using T = typename B::scalar;
  const auto rows = static_cast<index_t>(s.record.size());
  const index_t size = P::parameters.size(s.width), records = std::ranges::max(s.record) + 1;
  std::vector<int> slots;
  host_matrix<T> beta(1, rows);
  for (std::size_t i = 0; i < s.record.size(); ++i) {
    slots.push_back(s.record[i] < 0 ? -1 : s.record[i] * static_cast<int>(size));
    beta.values[i] = static_cast<T>(i % 3 == 0 ? -1.0 : 0.75);
  }
  std::vector<int> sequence(s.record.size());
  std::iota(sequence.begin(), sequence.end(), 0);
  const record_plan plan(slots);
  workspace<B> memory(backend);
  const record_view view{rows,
                         static_cast<index_t>(plan.piece_begin.size()) - 1,
                         static_cast<index_t>(plan.record_slot.size()),
                         memory.take(plan.slot),
                         memory.take(plan.order),
                         memory.take(plan.piece_begin),
                         memory.take(plan.record_begin),
                         memory.take(plan.record_slot)};
  const bound_rows<T> bound{view, memory.take(beta).data, memory.take(sequence)};
  const double scale = 1 / std::sqrt(static_cast<double>(s.width));
  on_device<B> h(backend, random_matrix<double>(rows, s.width, 1)), out(backend, not_numbers(rows, s.width));
  on_device<B> d_out(backend, random_matrix<double>(rows, s.width, 2)), d_h(backend, not_numbers(rows, s.width));
  on_device<B> theta(backend, random_matrix<double>(1, records * size, 3, scale));
  on_device<B> d_theta(backend, host_matrix<double>(1, records * size));
  on_device<B> partial(backend, not_numbers(view.pieces, size));
  backend.intervene(policy, h.view().as_const(), out.view(), theta.data(), bound);
  backend.intervene_backward(policy, h.view().as_const(), d_out.view().as_const(), d_h.view(), theta.data(),
                             d_theta.data(), partial.data(), bound);
  if constexpr (works_in_place<P>) backend.intervene(policy, h.view().as_const(), h.view(), theta.data(), bound);
  std::vector<double> all;
  for (auto* m : {&out, &d_h, &d_theta, &h}) {
    const auto numbers = m->numbers();
    all.insert(all.end(), numbers.begin(), numbers.end());
  }
  return all;
}

template <typename P>
void check_policy_on_device(P policy) {
  const auto device = watched_backend();
  std::vector<int> many;
  for (int i = 0; i < 150; ++i) many.push_back(i % 10 == 3 ? 1 : i % 50 == 7 ? -1 : 0);
  const std::vector<int> mixed{1, -1, 0, 2, 1, 0};
  for (const rows_with_policy& s :
       {rows_with_policy{1, mixed}, {3, many}, {4, mixed}, {64, many}, {131, mixed}, {260, mixed}}) {
    CAPTURE(s.width, s.record.size());
    const auto right = run_policy(eigen_backend<double>(1), policy, s);
    CHECK(relative_difference(run_policy(device, policy, s), right) < 2e-5);
    check_repeats([&] { return run_policy(device, policy, s); }, 10);
  }
}

/// The value, then the gradient, which is added to what was there.
template <typename B, typename Term>
std::vector<double> run_term(const B& backend, const Term& term, index_t width, bool sets = false) {
  const index_t rows = 4;
  workspace<B> memory(backend);
  on_device<B> logits(backend, random_matrix<double>(rows, width, 1, 2));
  on_device<B> reference(backend, random_matrix<double>(rows, width, 2, 2));
  on_device<B> weight(backend, random_matrix<double>(1, rows, 3)), values(backend, not_numbers(1, rows));
  on_device<B> d_logits(backend, random_matrix<double>(rows, width, 4)),
      beta(backend, random_matrix<double>(1, rows, 5));
  using T = typename B::scalar;
  const auto prompts = with_listed_answers(std::vector<prompt_pair>(rows), static_cast<int>(width));
  const auto sequences = every_strength(rows, std::vector<double>{1});
  const prompt_data_of<B, Term> data(prompts, sequences, memory);
  auto with_sets = std::vector<prompt_pair>(rows);
  for (std::size_t i = 1; i < with_sets.size(); ++i)
    with_sets[i].all_correct.ids = {0, 3}, with_sets[i].all_wrong.ids = {1, 2, 4};
  const answer_sets_of<B> answers(with_sets, sequences, memory);
  const auto run_with = [&](auto use, auto... more) {
    data.template with_operands<Term>([&](auto... of_prompts) {
      use(each_row(name::h, logits.view().as_const()), each_row(name::reference, reference.view().as_const()),
          operand<per_row<"beta">, const T>{beta.data(), 1},
          operand<per_row<"correct">, const int>{memory.take({0, 1, 0, static_cast<int>(width) - 1}), 1},
          operand<per_row<"wrong">, const int>{memory.take({1, 0, static_cast<int>(width) - 1, 0}), 1}, of_prompts...,
          more...);
    });
  };
  const auto run = [&](auto use) {
    if (sets)
      answers.with_operands([&](auto... more) { run_with(use, more...); });
    else
      run_with(use);
  };
  run([&](auto... operands) { backend.values(term, rows, width, values.data(), operands...); });
  run([&](auto... operands) {
    backend.gradients(term, rows, width, operands..., each_row(grad(name::h), d_logits.view()),
                      operand<gradient_of<per_row<"value">>, const T>{weight.data(), 1});
  });
  auto all = values.numbers();
  const auto gradient = d_logits.numbers();
  all.insert(all.end(), gradient.begin(), gradient.end());
  return all;
}

/// y, then d_x.
template <typename B>
std::vector<double> run_products(const B& backend, index_t in, index_t out, index_t rows, bool bias, bool transposed) {
  using T = typename B::scalar;
  const auto w = converted<T>(transposed ? random_matrix<double>(out, in, 1) : random_matrix<double>(in, out, 1));
  const auto b = bias ? converted<T>(random_matrix<double>(1, out, 2)) : host_matrix<T>{};
  const auto linear = backend.prepare(w.view(), b.view(), transposed);
  on_device<B> x(backend, random_matrix<double>(rows, in, 3)), y(backend, not_numbers(rows, out));
  on_device<B> d_y(backend, random_matrix<double>(rows, out, 4)), d_x(backend, not_numbers(rows, in));
  backend.multiply(linear, x.view().as_const(), y.view());
  backend.multiply_backward(linear, d_y.view().as_const(), d_x.view());
  auto all = y.numbers();
  const auto gradient = d_x.numbers();
  all.insert(all.end(), gradient.begin(), gradient.end());
  return all;
}

struct ragged {
  std::vector<int> lengths;
  bool last_only;
};

/// z, then d_qkv.
template <typename B>
std::vector<double> run_attention(const B& backend, const ragged& r, index_t heads, index_t head_width,
                                  double scale_of_scores) {
  std::vector<int> offsets{0}, query_offsets{0}, positions;
  for (int length : r.lengths) {
    offsets.push_back(offsets.back() + length);
    for (int i = r.last_only ? length - 1 : 0; i < length; ++i) positions.push_back(i);
    query_offsets.push_back(static_cast<int>(positions.size()));
  }
  workspace<B> memory(backend);
  const auto queries = static_cast<index_t>(positions.size());
  const index_t rows = offsets.back(), width = heads * head_width;
  ragged_shape shape{static_cast<index_t>(r.lengths.size()),
                     rows,
                     queries,
                     memory.take(offsets),
                     memory.take(query_offsets),
                     memory.take(positions)};
  if (r.last_only) shape.longest = std::ranges::max(r.lengths);
  on_device<B> qkv(backend, random_matrix<double>(rows, 3 * width, 1)), z(backend, not_numbers(queries, width));
  on_device<B> d_z(backend, random_matrix<double>(queries, width, 2)), d_qkv(backend, not_numbers(rows, 3 * width));
  const auto scale = static_cast<typename B::scalar>(scale_of_scores);
  backend.attention(shape, heads, scale, qkv.view().as_const(), z.view());
  backend.attention_backward(shape, heads, scale, qkv.view().as_const(), d_z.view().as_const(), d_qkv.view());
  auto all = z.numbers();
  const auto gradient = d_qkv.numbers();
  all.insert(all.end(), gradient.begin(), gradient.end());
  return all;
}

}  // namespace

TEST_CASE("Row functions agree with the CPU at every width") {
  if (lacks_device()) return;
  check(layer_norm{}, false, layer_norm::gain, layer_norm::bias);
  check(gelu_tanh{}, true);
  check(gelu_fast{}, true);
  check(gelu_erf{}, true);
  check(quick_gelu{}, true);
  check(silu{}, true);
  check(relu{}, true);
  check(softmax{}, false);
  check(mirror{}, false);
  check(quiet_mirror{}, false);
}

TEST_CASE("A sum and its norm in one go agree with the CPU") {
  if (lacks_device()) return;
  const auto device = watched_backend();
  for (index_t width : widths) {
    CAPTURE(width);
    CHECK(relative_difference(run_residual_norm(device, width), run_residual_norm(eigen_backend<double>(1), width)) <
          1e-5);
  }
}

TEST_CASE("Rotary positions agree with the CPU, in place too") {
  if (lacks_device()) return;
  const auto device = watched_backend();
  for (auto [width, turned] : {std::pair<index_t, index_t>{64, 16}, {10, 4}, {32, 32}})
    for (bool in_place : {false, true}) {
      CAPTURE(width, turned, in_place);
      const rotary f{turned};
      const auto right = run(eigen_backend<double>(1), f, width, in_place, rotary::cosine, rotary::sine);
      CHECK(relative_difference(run(device, f, width, in_place, rotary::cosine, rotary::sine), right) < 1e-6);
    }
}

TEST_CASE("Terms of the objective agree with the CPU") {
  if (lacks_device()) return;
  const auto device = watched_backend();
  const auto check_term_on_device = [&](const auto& term) {
    for (index_t width : {5, 64, 103, 1284, 9001}) {
      CAPTURE(width);
      const auto right = run_term(eigen_backend<double>(1), term, width);
      CHECK(relative_difference(run_term(device, term, width), right) < 2e-5);
      const auto with_sets = run_term(eigen_backend<double>(1), term, width, true);
      CHECK(relative_difference(run_term(device, term, width, true), with_sets) < 2e-5);
    }
  };
  using namespace objective;
  check_term_on_device(effectiveness{});
  check_term_on_device(effectiveness{.shape = psi::softplus});
  check_term_on_device(faithfulness{});
  check_term_on_device(faithfulness{.over = vocabulary::full, .direction = kl_direction::reverse});
  check_term_on_device(listed_answers{});
}

TEST_CASE("Policies agree with the CPU, their parameters' gradients too") {
  if (lacks_device()) return;
  check_policy_on_device(policy::activ_scalar{});
  check_policy_on_device(policy::steer_vec{});
  check_policy_on_device(policy::affine{});
  check_policy_on_device(policy::dyn_scalar<gate::tanh_rms<>>{});
  check_policy_on_device(policy::sequence{policy::steer_vec{}, policy::dyn_scalar<>{}, policy::activ_scalar{}});
  check_policy_on_device(policy::dyn_scalar<gate::mlp<4>>{});
  check_policy_on_device(policy::dyn_scalar<gate::mlp<1>>{});
  check_policy_on_device(policy::dyn_scalar<gate::cosine>{});
  check_policy_on_device(policy::channel_scale{});
  check_policy_on_device(policy::project_out{});
  check_policy_on_device(policy::low_rank<1>{});
  check_policy_on_device(policy::low_rank<4>{});
  check_policy_on_device(policy::conditional<gate::linear<>, policy::steer_vec>{});
  check_policy_on_device(policy::conditional<gate::mlp<4>, policy::low_rank<2>>{});
  check_policy_on_device(two_responses{});
  check_policy_on_device(policy::sequence{two_responses{}, policy::steer_vec{}});
}

TEST_CASE("Products agree with the CPU") {
  if (lacks_device()) return;
  const auto device = watched_backend();
  const auto rounded = watched_backend(cuda::precision::bf16), cut = watched_backend(cuda::precision::tf32);
  for (auto [in, out] : {std::pair<index_t, index_t>{1, 1}, {3, 5}, {33, 31}, {64, 130}})
    for (index_t rows : {1, 7, 40})
      for (bool bias : {true, false})
        for (bool transposed : {true, false}) {
          CAPTURE(in, out, rows, bias, transposed);
          const auto right = run_products(eigen_backend<double>(1), in, out, rows, bias, transposed);
          CHECK(relative_difference(run_products(device, in, out, rows, bias, transposed), right) < 2e-6);
          if (in % 8 != 0 or out % 2 != 0) continue;  // cuBLAS requires alignment
          CHECK(relative_difference(run_products(cut, in, out, rows, bias, transposed), right) < 2e-3);
          CHECK(relative_difference(run_products(rounded, in, out, rows, bias, transposed), right) < 2e-2);
        }
}

TEST_CASE("Attention agrees with the CPU, ragged, for all positions or the last") {
  if (lacks_device()) return;
  const auto device = watched_backend();
  for (const ragged& r : {ragged{{1}, false}, {{3, 1, 9}, false}, {{3, 40, 9}, true}, {{70, 33, 32}, false}})
    for (auto [heads, width, scale] :
         {std::tuple<index_t, index_t, double>{1, 5, 1}, {3, 32, 0.2}, {2, 64, 0.125}, {1, 100, 0.1}, {1, 160, 0.02}}) {
      CAPTURE(r.lengths, r.last_only, heads, width, scale);
      const auto run = [&](const auto& backend) { return run_attention(backend, r, heads, width, scale); };
      CHECK(relative_difference(run(device), run(eigen_backend<double>(1))) < 1e-5);
      if (width == 64) check_repeats([&] { return run(device); });
    }
  CHECK_THROWS_WITH(run_attention(device, {{2}, false}, 1, 300, 0.125),
                    Catch::Matchers::ContainsSubstring("up to 256"));
}

TEST_CASE("A recorded attention with wide heads still runs after one with narrower heads") {
  if (lacks_device()) return;
  const auto device = watched_backend();
  const index_t rows = 3, width = 256;
  workspace memory(device);
  const std::vector<int> offsets{0, 3}, positions{0, 1, 2};
  const ragged_shape shape{1, rows, rows, memory.take(offsets), memory.take(offsets), memory.take(positions)};
  on_device qkv(device, random_matrix<double>(rows, 3 * width, 1)), z(device, not_numbers(rows, width));
  const auto attend = [&] { device.attention(shape, 1, 0.0625f, qkv.view().as_const(), z.view()); };
  attend();
  const auto first = z.numbers();
  const auto recorded = device.record(attend);
  static_cast<void>(run_attention(device, {{2}, false}, 1, 200, 0.125));
  device.fill(z.view(), 0);
  recorded.replay();
  CHECK(same_bits(z.numbers(), first));
}

TEST_CASE("Device memory is zero when new, is reused, and is never given out twice") {
  if (lacks_device()) return;
  const cuda_backend<float> backend(cuda::options{.slab_bytes = 1 << 16});
  const auto in_use = backend.context().memory().in_use();
  {
    auto a = backend.allocate(100), b = backend.allocate(70), c = backend.allocate(40'000);
    CHECK(a.data() + 100 <= b.data());
    for (float x : backend.download(c.view(1, 40'000)).values) REQUIRE(x == 0);
    backend.fill(b.view(1, 70), 2.5f);
    for (float x : backend.download(b.view(7, 10)).values) CHECK(x == 2.5f);
    const float* const where = b.data();
    b = {};
    CHECK(backend.allocate(64).data() == where);
    auto moved = std::move(a);
    CHECK(moved.size() == 100);
    CHECK(a.size() == 0);
  }
  CHECK(backend.context().memory().in_use() == in_use);
}

TEST_CASE("Products take rows that start anywhere") {
  if (lacks_device()) return;
  const auto backend = watched_backend();
  const auto w = backend.prepare(random_matrix<float>(8, 12, 1).view(), random_matrix<float>(1, 12, 2).view());
  const auto rows = random_matrix<float>(5, 8, 3);
  const auto x = backend.upload(rows.view());
  const auto product = [&](index_t offset_x, index_t offset_y) {
    host_matrix<float> room(1, 5 * 8 + offset_x);
    std::ranges::copy(rows.values, room.values.begin() + offset_x);
    const auto from = backend.upload(std::as_const(room).view());
    auto to = backend.allocate(5 * 12 + offset_y);
    backend.multiply(w, {from.data() + offset_x, 5, 8}, {to.data() + offset_y, 5, 12});
    return converted<double>(backend.download({to.data() + offset_y, 5, 12})).values;
  };
  const auto right = product(0, 0);
  CHECK(largest(right) > 0.1);
  for (auto [at_x, at_y] : {std::pair<index_t, index_t>{1, 0}, {0, 1}, {2, 2}, {4, 0}, {0, 0}}) {
    CAPTURE(at_x, at_y);
    CHECK(relative_difference(product(at_x, at_y), right) < 1e-6);
  }
}

TEST_CASE("Several devices work in turn in one thread") {
  if (lacks_device()) return;
#if defined(TRIMTAB_CUDA_EMULATED)
  cuda::emulated::now.devices = 2;
#endif
  if (cuda::device_count() > 1) {
    const auto h = random_matrix<float>(3, 40, 1);
    const auto w = random_matrix<float>(40, 8, 2);
    const auto backends = std::pair(cuda_backend<float>({.device = 0, .slab_bytes = 0}),
                                    cuda_backend<float>({.device = 1, .slab_bytes = 0}));
    const auto product = [&](const cuda_backend<float>& backend) {
      const auto linear = backend.prepare(w.view(), {});
      auto x = backend.upload(h.view()), y = backend.allocate(3 * 8);
      backend.forward(gelu_tanh{}, 3, 40, each_row(name::h, x.view(3, 40)), each_row(name::out, x.view(3, 40)));
      backend.multiply(linear, std::as_const(x).view(3, 40), y.view(3, 8));
      return backend.download(y.view(3, 8)).values;
    };
    const auto right = product(backends.first);
    CHECK(same_bits(product(backends.second), right));
    CHECK(same_bits(product(backends.first), right));
  } else {
    WARN("skipped: one CUDA device");
  }
#if defined(TRIMTAB_CUDA_EMULATED)
  cuda::emulated::now.devices = 1;
#endif
}

TEST_CASE("What a device cannot do throws a one-sentence error", "[refusal]") {
  if (lacks_device()) return;
  const auto backend = watched_backend();
  const auto kind_of = [](auto f) {
    try {
      f();
    } catch (const error& e) {
      CAPTURE(e.what());
      return e.kind();
    }
    return error_kind::io;
  };
  CHECK(kind_of([&] { static_cast<void>(backend.allocate(index_t{1} << 50)); }) == error_kind::device);
  CHECK_THROWS_WITH(backend.allocate(index_t{1} << 50), Catch::Matchers::ContainsSubstring("out of memory"));
  CHECK(kind_of([] { cuda_backend<float>(cuda::options{.device = 99}); }) == error_kind::device);
  CHECK(kind_of([] { cuda_backend<double>(cuda::options{.precision = cuda::precision::bf16}); }) ==
        error_kind::bad_argument);
  CHECK_THROWS_WITH(
      cuda::check(cudaErrorInvalidValue, "cudaThing"),
      Catch::Matchers::ContainsSubstring("cudaThing failed with cudaErrorInvalidValue: invalid argument") and
          Catch::Matchers::ContainsSubstring("operations.cpp"));
  CHECK_THROWS_WITH(cuda::check(cudaErrorNoKernelImageForDevice, "forward"),
                    Catch::Matchers::ContainsSubstring("CMAKE_CUDA_ARCHITECTURES"));
#if defined(TRIMTAB_CUDA_EMULATED)
  cuda::emulated::now.devices = 0;
  CHECK_THROWS_WITH(cuda_backend<float>(), Catch::Matchers::ContainsSubstring("there is no CUDA device here"));
  cuda::emulated::now.devices = 1;
#endif
}

}  // namespace trimtab::test::operations_tests
