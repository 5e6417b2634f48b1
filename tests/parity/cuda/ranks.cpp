// SPDX-License-Identifier: Apache-2.0
#include "parity/cuda/compare.hpp"
#include "support/compositions.hpp"

#include <trimtab/parallel/nccl.hpp>
#include <trimtab/train/trainer.hpp>

#include <thread>
#include <utility>

namespace trimtab::test::ranks_tests {

namespace {

const auto& prompts() {
  static const auto all = random_prompts(small_gpt2::config(), {4, 3, 4, 5, 3, 4, 3});
  return all;
}

/// A fit in seven chunks, its parameters and losses; `ranks` share them.
std::vector<double> fitted_by(any_communicator ranks) {
  const auto model = small_gpt2::model<cuda_backend<float>>(random_weights(small_gpt2::config(), 3), watched_backend());
  const auto steering =
      steer(model, at(site::mlp_out{}, policy::activ_scalar{}, layers::all(), positions::from_end(2)));
  const auto objective = objective::effectiveness{} + 0.002 * objective::minimality{};
  const auto result =
      trainer(steering, objective, adam{.learning_rate = 0.05}, ranks).fit(prompts(), {.steps = 2, .chunk = 1});
  std::vector<double> all = result.values.theta;
  for (const auto& loss : result.history) all.push_back(loss.total());
  return all;
}

#if defined(TRIMTAB_CUDA_EMULATED)

/// Threads that stand in for ranks, of which one at a time has the emulated device.
class ranks_in_turn {
 public:
  /// Calls work(communicator) of each rank, each on a thread of its own.
  template <typename Work>
  static void run(int count, Work work) {
    auto shared = std::make_shared<shared_by_all>(count);
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < count; ++rank)
      threads.emplace_back([=, &work] {
        const std::lock_guard own(cuda::emulated::turn);
        work(ranks_in_turn(rank, shared));
      });
  }

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(shared_->bytes.size()); }
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const {
    shared_->bytes[static_cast<std::size_t>(rank_)].assign(mine.begin(), mine.end());
    shared_->all.wait();
    auto found = shared_->bytes;
    shared_->all.wait();
    return found;
  }

 private:
  struct shared_by_all {
    explicit shared_by_all(int count) : bytes(static_cast<std::size_t>(count)), all(count) {}
    std::vector<std::vector<std::byte>> bytes;
    cuda::emulated::meeting all;
  };
  ranks_in_turn(int rank, std::shared_ptr<shared_by_all> shared) : rank_(rank), shared_(std::move(shared)) {}

  int rank_;
  std::shared_ptr<shared_by_all> shared_;
};

#endif

}  // namespace

TEST_CASE("One rank under NCCL gathers what it has, and fits the same bits") {
  if (lacks_device()) return;
  const parallel::nccl ranks(alone{}, 0);
  CHECK(ranks.size() == 1);
  const auto backend = watched_backend();
  const host_matrix<float> numbers = [] {
    host_matrix<float> m(1, 5);
    for (index_t k = 0; k < 5; ++k) m(0, k) = static_cast<float>(k);
    return m;
  }();
  const auto mine = backend.upload(numbers.view());
  auto all = backend.allocate(5);
  ranks.all_gather(mine.data(), all.data(), 5 * sizeof(float), backend.stream());
  CHECK(backend.download(std::as_const(all).view(1, 5)).values == numbers.values);
  CHECK(same_bits(fitted_by(ranks), fitted_by(alone{})));
}

#if defined(TRIMTAB_CUDA_EMULATED)
TEST_CASE("Joined devices fit the bits of one, and give each other their partial sums alone") {
  const auto one = fitted_by(alone{});
  const int count = GENERATE(2, 3, 4);
  const bool joined = GENERATE(true, false);
  CAPTURE(count, joined);
  std::vector<std::vector<double>> found(static_cast<std::size_t>(count));
  cuda::emulated::bytes_given = 0;
  ranks_in_turn::run(count, [&](const ranks_in_turn& host) {
    const auto ranks = joined ? any_communicator(parallel::nccl(host, 0)) : any_communicator(host);
    found[static_cast<std::size_t>(host.rank())] = fitted_by(ranks);
  });
  for (const auto& own : found) CHECK(same_bits(own, one));
  // In each of two steps every rank gives as many sums as the one with most subtrees: of seven chunks, 2 ranks have 0-1, 2 and
  // 3, 4-5, 6; 3 ranks 0-1 and 2-3 and 4-5, 6; 4 ranks 0 and 1, 2 and 3, 4 and 5, 6.
  const std::size_t numbers = one.size() - 3, most = count == 2 ? 3 : 2;
  CHECK(cuda::emulated::bytes_given ==
        (joined ? 2 * most * static_cast<std::size_t>(count) * numbers * sizeof(float) : 0));
}
#endif

}  // namespace trimtab::test::ranks_tests
