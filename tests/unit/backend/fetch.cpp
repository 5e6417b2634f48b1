// SPDX-License-Identifier: Apache-2.0

#include <trimtab/backend/eigen/fetch.hpp>
#include <trimtab/backend/eigen/panels.hpp>
#include <trimtab/core/stored.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

namespace trimtab::test::fetch_tests {

using namespace trimtab::eigen;

namespace {

std::intptr_t line_of(const char* p) { return reinterpret_cast<std::intptr_t>(p) / line_bytes; }

/// The lines that blocks fetch with the rows of a slice of this depth.
template <typename Weights>
std::set<std::intptr_t> fetched_lines(Weights w, index_t p, index_t k, index_t depth, index_t blocks) {
  std::set<std::intptr_t> lines;
  for (index_t b = 0; b < blocks; ++b) {
    const fetch_order order = w.order(p, k, depth, b, blocks);
    fetch_walk walk(order);
    for (index_t row = 0; row < depth; ++row) {
      const char* const at = walk.next();
      for (index_t from = 0; from < order.step; from += line_bytes) lines.insert(line_of(at + from));
    }
  }
  return lines;
}

/// The lines of a slice: `pieces` pieces of so many bytes, the n-th from `piece(n)` on.
template <typename F>
std::set<std::intptr_t> lines_of(index_t pieces, index_t bytes, F piece) {
  std::set<std::intptr_t> lines;
  for (index_t n = 0; n < pieces; ++n)
    for (index_t at = 0; at < bytes; at += line_bytes)
      lines.insert(line_of(reinterpret_cast<const char*>(piece(n)) + at));
  return lines;
}

}  // namespace

TEMPLATE_TEST_CASE("The blocks of a product fetch the next slice whole, and nothing else", "", float, stored::float16) {
  using numbers = panels<float, TestType>;
  constexpr index_t columns = tile<float>::columns, depth = 768;
  const host_matrix<float> weight(depth, 3 * columns), wide(columns, depth);
  const numbers packed_weight(1, weight.view(), false), turned_weight(1, wide.view(), false);
  for (const index_t rows : {columns, 4 * columns, depth})
    for (const index_t blocks : {1, 2, 3, 10}) {
      CAPTURE(rows, blocks);
      for (const index_t in_turn : {1, 8})
        CHECK(fetched_lines(as_packed<float, TestType>{packed_weight, in_turn}, 1, 0, rows, blocks) ==
              lines_of(1, rows * columns * static_cast<index_t>(sizeof(TestType)),
                       [&](index_t) { return packed_weight.at(1, 0); }));
      CHECK(fetched_lines(turned_over<float, TestType>{turned_weight}, 0, 0, rows, blocks) ==
            lines_of(rows / columns, columns * columns * static_cast<index_t>(sizeof(TestType)),
                     [&](index_t n) { return turned_weight.at(n, 0); }));
    }
}

TEST_CASE("Pieces are fetched one after another or in turn") {
  const char memory[64] = {};
  const auto steps = [&](const fetch_order& order, int count) {
    std::vector<std::ptrdiff_t> found;
    fetch_walk walk(order);
    for (int n = 0; n < count; ++n) found.push_back(walk.next() - memory);
    return found;
  };
  const memory_pieces pieces{memory, 10, 4};
  CHECK(steps(fetch_order::by_pieces(pieces, 1, 2, 2), 5) == std::vector<std::ptrdiff_t>{1, 3, 11, 13, 21});
  CHECK(steps(fetch_order::in_turn(pieces, 2, 1, 2, 2), 6) == std::vector<std::ptrdiff_t>{1, 11, 3, 13, 21, 31});
}

}  // namespace trimtab::test::fetch_tests
