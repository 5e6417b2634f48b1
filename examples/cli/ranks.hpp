// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/core/shared_weights.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <memory>
#include <string>

/// The processes that mpirun started together. The first one speaks and writes; all of them learn.

namespace trimtab::cli {

/// How many processes mpirun says it started; 1 without it. Known before MPI is.
int ranks_started();
/// Whether this is the first of them.
bool is_first_rank();

/// MPI, where several ranks were started, as long as this object lives.
class rank_session {
 public:
  /// Throws `device` where several ranks were started and this program was built without MPI, and `bad_argument` for a
  /// command that does not share its work.
  explicit rank_session(const std::string& command);
  ~rank_session();

  /// Ends the programs of all ranks where there are several: this one cannot go on.
  static void abort_all(int status);

 private:
  struct session;
  std::unique_ptr<session> held_;
};

/// All ranks.
const any_communicator& all_ranks();
/// How many of them are on this machine, and which of these this one is.
int ranks_on_this_machine();
int rank_on_this_machine();

/// From now on the ranks share through this, which is made of `all_ranks`: where each has a device of its own.
void share_through(any_communicator joined);

/// Memory for weights that the ranks on this machine share; null without ranks.
std::shared_ptr<shared_weights> weights_of_machine();

/// How many there are, and how many of the prompts each one does.
nlohmann::ordered_json prompts_of_ranks(std::size_t prompts);

/// Whether any rank says yes; every rank asks.
bool any_rank(bool mine);
/// Waits until every rank is here.
inline void meet_all_ranks() { any_rank(false); }

}  // namespace trimtab::cli
