// SPDX-License-Identifier: Apache-2.0

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>
#include <trimtab/io/huggingface/from_pretrained.hpp>
#include <trimtab/io/intervention_tensors.hpp>

#include "support/catch.hpp"
#include "support/random_weights.hpp"
#include "support/refusal.hpp"
#include "support/stored_model.hpp"
#include "support/temporary_folder.hpp"

using namespace trimtab;
using namespace trimtab::test;
using Catch::Matchers::ContainsSubstring;
using cpu = eigen_backend<double>;

namespace {

const model_config small = {
    .architecture = "gpt2", .layers = 3, .width = 12, .heads = 3, .hidden = 20, .context = 9, .vocabulary = 19};
const model_config small_parallel = {.architecture = "gpt_neox",
                                     .layers = 3,
                                     .width = 12,
                                     .heads = 3,
                                     .hidden = 20,
                                     .context = 9,
                                     .vocabulary = 19,
                                     .rotary_channels = 2,
                                     .parallel_residual = true};
const std::vector<prompt_pair> prompts = {
    {.ids = {1, 2, 3, 4}, .correct_id = 5, .wrong_id = 6, .roles = {{"a", {0, 1}}, {"b", {2, 4}}}}};

const auto model = gpt2<cpu>(random_weights(small), cpu(1));

/// A different number in every place: what lands in the wrong one shows.
template <typename Steering>
parameters numbered(const Steering& steering) {
  parameters p{steering.layout(prompts), {}};
  for (index_t i = 0; i < p.layout.lane_size(); ++i) p.theta.push_back(0.1 + static_cast<double>(i));
  return p;
}

/// Through a file and back, with all that a composition reads from it.
template <typename Steering>
parameters through_a_file(const Steering& steering, const parameters& p) {
  const auto folder = temporary_folder();
  io::write_intervention(folder.path() / "i", make_intervention_file(steering, p, {{"task", "test"}}));
  return fit_to(io::read_intervention(folder.path() / "i"), steering);
}

template <typename Policy>
void check_round_trip(Policy policy, position_key positions) {
  CAPTURE(positions.text());
  const auto s = steer(model, at(site::attn_z{}, policy, layers::list({0, 2}), positions),
                       at(site::mlp_post{}, policy, layers::all(), positions),
                       at(site::resid_mid{}, policy, layers::none(), positions));
  const auto p = numbered(s);
  CHECK(through_a_file(s, p) == p);
}

}  // namespace

TEST_CASE("Parameters survive a file, bit by bit, for every policy and kind of positions") {
  for (const auto& by :
       {positions::absolute(), positions::from_end(2), positions::shared(), positions::role({"a", "b"})}) {
    check_round_trip(policy::activ_scalar{}, by);
    check_round_trip(policy::steer_vec{}, by);
    check_round_trip(policy::affine{}, by);
    check_round_trip(policy::dyn_scalar<>{}, by);
    check_round_trip(policy::dyn_scalar<policy::gate{.bias = false}>{}, by);
    check_round_trip(policy::sequence{policy::activ_scalar{}, policy::steer_vec{}}, by);
  }
}

TEST_CASE("A number lies in the tensor where the format says") {
  const auto s = steer(model, at(site::attn_z{}, policy::affine{}, layers::list({0, 2})));
  const auto p = numbered(s);
  const auto tensors = tensors_of(p.layout, p.theta, small);
  const auto& alpha = tensors.at("attn_z.alpha");
  const auto& vector = tensors.at("attn_z.vector");
  REQUIRE(alpha.shape == std::vector<index_t>{3, 4, 3});
  REQUIRE(vector.shape == std::vector<index_t>{3, 4, 3, 4});
  const auto record = p.record(p.layout.blocks[0], 1, 3, 2);  // layer 2, position 3, head 2
  CHECK(alpha.values[2 * 12 + 3 * 3 + 2] == record[0]);
  CHECK(vector.values[(2 * 12 + 3 * 3 + 2) * 4 + 1] == record[2]);
  for (std::size_t i = 12; i < 24; ++i) CHECK(alpha.values[i] == 0);  // layer 1
}

TEST_CASE("A composition that hooks more gets zeros there, one that hooks less is refused") {
  const auto some = steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::list({1})));
  const auto more =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::activ_scalar{}));
  const auto other = steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::list({2})));
  const auto file = make_intervention_file(some, numbered(some));
  CHECK(steered_logits(more, fit_to(file, more), prompts, 1.0).values ==
        steered_logits(some, numbered(some), prompts, 1.0).values);
  CHECK_THAT(refusal(error_kind::mismatch, [&] { fit_to(file, other); }),
             ContainsSubstring("'attn_out.alpha' in layer 1"));
}

TEST_CASE("A file for another model or composition is refused with the reason") {
  const auto s = steer(model, at(site::resid_mid{}, policy::activ_scalar{}));
  const auto good = make_intervention_file(s, numbered(s));
  const auto refused = [&](auto change) {
    auto file = good;
    change(file);
    return refusal(error_kind::mismatch, [&] { fit_to(file, s); });
  };
  CHECK_THAT(refused([](auto& f) { f.model->architecture = "gpt_neox"; }),
             ContainsSubstring("architecture 'gpt_neox'"));
  CHECK_THAT(refused([](auto& f) { f.model->layers = 4; }), ContainsSubstring("layers of 4"));
  CHECK_THAT(refused([](auto& f) { f.model->width = 13; }), ContainsSubstring("width of 13"));
  CHECK_THAT(refused([](auto& f) { f.model->vocabulary = 20; }), ContainsSubstring("vocabulary of 20"));
  CHECK_THAT(refused([](auto& f) { f.policy = "affine"; }), ContainsSubstring("policy 'affine'"));
  CHECK_THAT(refused([](auto& f) { f.policy = "a\x1b[2J"; }), ContainsSubstring("policy 'a\uFFFD[2J'"));
  CHECK_THAT(refused([](auto& f) { f.model->architecture = "a\x1b[2J"; }),
             ContainsSubstring("architecture 'a\uFFFD[2J'"));
  CHECK_THAT(refused([](auto& f) {
               f.tensors["resid_mid.\x1b[2J"] = {{3, 9}, std::vector<double>(27)};
             }),
             ContainsSubstring("'resid_mid.\uFFFD[2J' has the shape"));
  CHECK_THAT(refused([](auto& f) { f.positions = positions::from_end(4); }), ContainsSubstring("from_end positions"));
  CHECK_THAT(refused([](auto& f) {
               f.model.reset(), f.tensors["resid_mid.alpha"] = {{2, 4}, std::vector<double>(8)};
             }),
             ContainsSubstring("2 layers"));
  CHECK_THAT(refusal(error_kind::mismatch,
                     [&] {
                       auto file = good;
                       file.model.reset();
                       require_fits(file, small_parallel, {});
                     }),
             ContainsSubstring("parallel blocks lack"));
}

TEST_CASE("A width that does not fit is refused, and weights that are others") {
  const auto s = steer(model, at(site::attn_out{}, policy::steer_vec{}, layers::all(), positions::shared()));
  auto file = make_intervention_file(s, numbered(s));
  file.model.reset();
  file.tensors["attn_out.vector"] = {{3, 1, 11}, std::vector<double>(33, 1.0)};
  CHECK_THAT(refusal(error_kind::mismatch, [&] { fit_to(file, s); }), ContainsSubstring("[3, 1, 11]"));

  const auto folder = temporary_folder();
  write_model_folder(folder.path(), random_weights(small));
  const auto stored = from_pretrained<gpt2<cpu>>(folder.path());
  const auto on_stored =
      steer(stored, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::shared()));
  auto hashed = make_intervention_file(on_stored, numbered(on_stored));
  CHECK(fit_to(hashed, on_stored) == numbered(on_stored));
  hashed.model->hash = "0000000000000000";
  CHECK_THAT(refusal(error_kind::mismatch, [&] { fit_to(hashed, on_stored); }), ContainsSubstring("hash"));
}

TEST_CASE("A composition of two policies cannot be one file") {
  const auto s = steer(model, at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::steer_vec{}));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { make_intervention_file(s, numbered(s)); }),
             ContainsSubstring("one policy"));
  const auto none = steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::none()));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { make_intervention_file(none, numbered(none)); }),
             ContainsSubstring("no layer"));
}
