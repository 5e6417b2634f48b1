// SPDX-License-Identifier: Apache-2.0

// A user's policy whose parameters are called like the library's and have other extents, a matrix among them. One process
// saves what it learned, another loads it:
//
//     save_and_load save FILE
//     save_and_load load FILE

#include <trimtab/backend/eigen.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/io/intervention_tensors.hpp>
#include <trimtab/model/gpt2.hpp>
#include <trimtab/steer/steering.hpp>

#include "support/named_like_others.hpp"
#include "support/small_models.hpp"

#include <cstdio>
#include <string_view>

using namespace trimtab;

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  const auto config = test::small_gpt2::config();
  const gpt2<eigen_backend<float>> model(test::random_weights{config}, eigen_backend<float>(1));
  const auto prompts = test::random_prompts(config, {4, 4});
  const auto steering = steer(model, at(site::attn_z{}, test::named_like_others{}),
                              at(site::mlp_out{}, test::named_like_others{}, layers::list({1})));
  parameters values{steering.layout(prompts), {}};
  for (index_t i = 0; i < values.layout.size(); ++i) values.theta.push_back(0.25 * static_cast<double>(i + 1));

  if (std::string_view(argv[1]) == "save") {
    save_intervention(argv[2], steering, values);
    return 0;
  }
  return load_intervention(argv[2], steering) == values ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 3;
}
