// SPDX-License-Identifier: Apache-2.0

#include "ranks.hpp"

#include <trimtab/core/error.hpp>

#ifdef TRIMTAB_CLI_MPI
#  include <trimtab/parallel/mpi.hpp>
#  include <trimtab/parallel/node_weights.hpp>
#endif

#include <algorithm>
#include <array>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace trimtab::cli {

namespace {

/// What Open MPI's, MPICH's and MVAPICH's launchers tell a process; `otherwise` without them.
int told(std::initializer_list<const char*> names, int otherwise) {
  for (const char* name : names)
    if (const char* value = std::getenv(name)) return std::atoi(value);
  return otherwise;
}

any_communicator ranks;
struct {
  int rank = 0, count = 1;
} here;

}  // namespace

int ranks_started() { return told({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"}, 1); }
bool is_first_rank() { return told({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK"}, 0) == 0; }

const any_communicator& all_ranks() { return ranks; }
int ranks_on_this_machine() { return here.count; }
int rank_on_this_machine() { return here.rank; }
void share_through(any_communicator joined) { ranks = std::move(joined); }

nlohmann::ordered_json prompts_of_ranks(std::size_t prompts) {
  std::vector<index_t> own;
  for (int rank = 0; rank < ranks.size(); ++rank)
    own.push_back(share_of(rank, ranks.size(), static_cast<index_t>(prompts)).count());
  return {{"count", ranks.size()}, {"prompts", own}};
}

bool any_rank(bool mine) {
  const std::byte own{static_cast<unsigned char>(mine)};
  return std::ranges::any_of(ranks.all_gather({&own, 1}),
                             [](const auto& bytes) { return bytes.front() != std::byte{}; });
}

#ifdef TRIMTAB_CLI_MPI

struct rank_session::session {
  parallel::mpi_session mpi = {};
};

std::shared_ptr<shared_weights> weights_of_machine() {
  // All ranks make it together, also one that is alone on its machine.
  return ranks.size() > 1 ? std::make_shared<parallel::node_weights>() : nullptr;
}

void rank_session::abort_all(int status) {
  if (ranks.size() > 1) parallel::mpi_session::abort(status);
}

#else

struct rank_session::session {
  session() {
    throw error(error_kind::device, "this trimtab was built without MPI and cannot share the work of " +
                                        std::to_string(ranks_started()) +
                                        " ranks; build it where CMake finds MPI, or start it without mpirun");
  }
};

std::shared_ptr<shared_weights> weights_of_machine() { return nullptr; }

void rank_session::abort_all(int) {}

#endif

rank_session::rank_session(const std::string& command) {
  if (ranks_started() < 2) return;
  constexpr std::array sharing{"fit", "sweep", "eval", "explain"};
  if (std::ranges::find(sharing, command) == sharing.end())
    throw error(error_kind::bad_argument,
                "`trimtab " + command + "` was started with " + std::to_string(ranks_started()) +
                    " ranks; only `fit`, `sweep`, `eval` and `explain` share their work, so start it without mpirun");
  held_ = std::make_unique<session>();
#ifdef TRIMTAB_CLI_MPI
  const parallel::mpi world;
  const auto found = world.on_this_machine();
  here = {found.rank, found.count};
  ranks = world;
#endif
}

rank_session::~rank_session() { ranks = {}; }

}  // namespace trimtab::cli
