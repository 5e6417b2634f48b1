// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/intervention_shape.hpp>

#include "support/catch.hpp"

using namespace trimtab;
using shape = std::vector<index_t>;

TEST_CASE("Tensors of an intervention file have the documented axes") {
  const model_config config = {
      .architecture = "gpt2", .layers = 5, .width = 12, .heads = 3, .hidden = 48, .context = 9, .vocabulary = 19};
  const auto absolute = positions::absolute(7), shared = positions::shared();
  CHECK(io::shape_of("attn_out.alpha", absolute, config, 1) == shape{5, 7});
  CHECK(io::shape_of("attn_out.alpha", shared, config, 1) == shape{5, 1});
  CHECK(io::shape_of("mlp_out.vector", absolute, config, 12) == shape{5, 7, 12});
  CHECK(io::shape_of("mlp_post.vector", absolute, config, 48) == shape{5, 7, 48});
  CHECK(io::shape_of("resid_post.weight", shared, config, 12) == shape{5, 12});
  CHECK(io::shape_of("resid_post.bias", shared, config, 1) == shape{5});
  CHECK(io::shape_of("resid_post.weight", absolute, config, 12) == shape{5, 7, 12});
  CHECK(io::shape_of("resid_post.bias", absolute, config, 1) == shape{5, 7});
  CHECK(io::shape_of("attn_z.alpha", absolute, config, 1) == shape{5, 7, 3});
  CHECK(io::shape_of("attn_z.vector", absolute, config, 4) == shape{5, 7, 3, 4});
  CHECK(io::shape_of("attn_z.weight", shared, config, 4) == shape{5, 3, 4});
  CHECK(io::shape_of("attn_z.bias", shared, config, 1) == shape{5, 3});
  CHECK(io::shape_of("attn_out.1.vector", absolute, config, 12) == shape{5, 7, 12});
  CHECK(io::shape_of("attn_out.gain", absolute, config, 12) == shape{5, 7, 12});
  CHECK(io::shape_of("attn_out.gain", absolute, config, 1) == shape{5, 7});
}

TEST_CASE("Sites have their names, and parallel blocks have six of seven") {
  CHECK(io::find_site("resid_mid")->in_parallel_blocks == false);
  CHECK(io::find_site("attn_z")->rows == site_rows::head);
  CHECK_FALSE(io::find_site("attn"));
  CHECK(io::site_names(true) == "resid_pre, attn_z, attn_out, mlp_post, mlp_out, resid_post");
}
