// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/intervention_text.hpp>

#include "support/catch.hpp"
#include "support/small_intervention.hpp"

namespace trimtab::test::intervention_text_tests {

TEST_CASE("CSV has a line for each number of the intervention's layers") {
  auto file = small_intervention(
      "affine", positions::from_end(2),
      {{"attn_z.alpha", {{2, 2, 1}, {0, 0, 0.1, -2}}}, {"attn_z.vector", {{2, 2, 1, 2}, {0, 0, 0, 0, 5, 6, 7, 8}}}});
  file.interventions.front().layers = {1};
  CHECK(io::intervention_csv(file) ==
        "site,policy,tensor,parameter,layer,position,head,row,channel,value\n"
        "attn_z,affine,attn_z.alpha,alpha,1,0,0,,,0.1\n"
        "attn_z,affine,attn_z.alpha,alpha,1,1,0,,,-2\n"
        "attn_z,affine,attn_z.vector,vector,1,0,0,,0,5\n"
        "attn_z,affine,attn_z.vector,vector,1,0,0,,1,6\n"
        "attn_z,affine,attn_z.vector,vector,1,1,0,,0,7\n"
        "attn_z,affine,attn_z.vector,vector,1,1,0,,1,8\n");
  file.interventions.front().policy = "my \"own\", with comma";
  CHECK_THAT(io::intervention_csv(file),
             Catch::Matchers::ContainsSubstring("attn_z,\"my \"\"own\"\", with comma\",attn_z.alpha"));
}

TEST_CASE("JSON has the numbers as lists in lists") {
  auto file = small_intervention("activ-scalar", positions::absolute(2), {{"mlp_out.alpha", {{2, 2}, {1, 2, 3, 0.1}}}},
                                 {{"task", "ioi"}});
  file.model = model_facts{.architecture = "gpt2", .layers = 2};
  const auto found = io::json::parse(io::intervention_json(file));
  CHECK(found.at("format") == "trimtab-intervention-json-1");
  const auto& one = found.at("interventions")[0];
  CHECK(one.at("site") == "mlp_out");
  CHECK(one.at("position_key") == "absolute");
  CHECK(one.at("parameters")[0].at("axes") == io::json{"layer", "position"});
  CHECK(one.at("parameters")[0].at("values") == io::json{{1.0, 2.0}, {3.0, 0.1}});
  CHECK(found.at("model").at("layers") == 2);
  CHECK(found.at("made").at("task") == "ioi");
}

}  // namespace trimtab::test::intervention_text_tests
