// SPDX-License-Identifier: Apache-2.0
// A program whose ranks have a GPU each: the only one joins itself, or gets a one-sentence error if there is no device.

#include <trimtab/cuda.hpp>
#include <trimtab/parallel/nccl.hpp>

#include <cstdio>

using namespace trimtab;

int main() {
  try {
    const parallel::nccl ranks(alone{}, 0);
    return ranks.size() == 1 and any_communicator(ranks).rank() == 0 ? 0 : 1;
  } catch (const error& e) {
    std::printf("%s\n", e.what());
    return e.kind() == error_kind::device and cuda::device_count() == 0 ? 0 : 1;
  }
}
