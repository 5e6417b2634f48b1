// SPDX-License-Identifier: Apache-2.0

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>
#include <trimtab/io/huggingface/from_pretrained.hpp>
#include <trimtab/io/intervention_tensors.hpp>

#include "support/catch.hpp"
#include "support/named_like_others.hpp"
#include "support/random_weights.hpp"
#include "support/refusal.hpp"
#include "support/stored_model.hpp"
#include "support/temporary_folder.hpp"

#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

namespace trimtab::test::intervention_tensors_tests {

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

/// Parameters with a different number in every place, so that a number in the wrong place is found.
template <typename Steering>
parameters numbered(const Steering& steering) {
  parameters p{steering.layout(prompts), {}};
  for (index_t i = 0; i < p.layout.size(); ++i) p.theta.push_back(0.1 + static_cast<double>(i));
  return p;
}

/// The weights of a folder, to be stored again.
struct copied_weights {
  const io::model_folder& from;

  const model_config& config() const { return from.config(); }
  bool tied_embeddings() const { return true; }
  template <typename T>
  block_weights<T> block(index_t layer) const {
    return from.block<T>(layer);
  }
  template <typename T>
  outer_weights<T> outer() const {
    return from.outer<T>();
  }
};

/// What is read from a file after it was written.
intervention_file through_a_file(const intervention_file& file) {
  const auto folder = temporary_folder();
  io::write_intervention(folder.path() / "i", file);
  return io::read_intervention(folder.path() / "i");
}

/// Writes parameters to a file and returns what a composition reads from it.
template <typename Steering>
parameters through_a_file(const Steering& steering, const parameters& p) {
  return fit_to(through_a_file(make_intervention_file(steering, p, {{"task", "test"}})), steering);
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
    check_round_trip(policy::dyn_scalar<gate::linear<gate::bias::none>>{}, by);
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

TEST_CASE("A composition with more layers or positions gets zeros there, and one with fewer is refused") {
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
    change(file, file.interventions.front());
    return refusal(error_kind::mismatch, [&] { fit_to(file, s); });
  };
  CHECK_THAT(refused([](auto& f, auto&) { f.model->architecture = "gpt_neox"; }),
             ContainsSubstring("architecture 'gpt_neox'"));
  CHECK_THAT(refused([](auto& f, auto&) { f.model->residual = "parallel"; }),
             ContainsSubstring("residual form 'parallel'"));
  CHECK_THAT(refused([](auto& f, auto&) { f.model->layers = 4; }),
             ContainsSubstring("it was made for 4 layers, and this model has 3"));
  CHECK_THAT(refused([](auto& f, auto&) { f.model->width = 13; }), ContainsSubstring("width of 13"));
  CHECK_THAT(refused([](auto& f, auto&) { f.model->vocabulary = 20; }), ContainsSubstring("vocabulary of 20"));
  CHECK_THAT(refused([](auto&, auto& i) { i.policy = "affine"; }), ContainsSubstring("policy 'affine'"));
  CHECK_THAT(refused([](auto&, auto& i) { i.policy = "a\x1b[2J"; }), ContainsSubstring("policy 'a\uFFFD[2J'"));
  CHECK_THAT(refused([](auto& f, auto&) { f.model->architecture = "a\x1b[2J"; }),
             ContainsSubstring("architecture 'a\uFFFD[2J'"));
  CHECK_THAT(refused([](auto&, auto& i) { i.parameters[0].name = "gain"; }), ContainsSubstring("the parameter 'gain'"));
  CHECK_THAT(refused([](auto&, auto& i) { i.parameters.clear(); }), ContainsSubstring("lacks the parameter 'alpha'"));
  CHECK_THAT(refused([](auto&, auto& i) { i.positions = positions::from_end(4); }),
             ContainsSubstring("it has 4 from_end positions, and the composition has absolute ones"));
  CHECK_THAT(refused([](auto& f, auto& i) {
               f.model.reset(), i.parameters[0].numbers = {{2, 4}, std::vector<double>(8)};
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

TEST_CASE("A width that does not fit is refused, and weights that are others unless that is allowed") {
  const auto s = steer(model, at(site::attn_out{}, policy::steer_vec{}, layers::all(), positions::shared()));
  auto file = make_intervention_file(s, numbered(s));
  file.model.reset();
  file.interventions[0].parameters[0].numbers = {{3, 1, 11}, std::vector<double>(33, 1.0)};
  CHECK_THAT(refusal(error_kind::mismatch, [&] { fit_to(file, s); }), ContainsSubstring("[3, 1, 11]"));

  auto hashed = make_intervention_file(s, numbered(s));
  CHECK(hashed.model->hash == model.hash_of_weights());
  hashed.model->hash = "0000000000000000";
  CHECK_THAT(refusal(error_kind::mismatch, [&] { fit_to(hashed, s); }), ContainsSubstring("hash"));
  CHECK(fit_to(hashed, s, {.allow_other_weights = true}) == numbered(s));
}

TEST_CASE("A copy of the weights in float16 is the same model, and a file of version 1 knows a model by its bytes") {
  const auto folder = temporary_folder(), half = temporary_folder();
  write_model_folder(half.path(), random_weights(small), {.type = io::dtype::f16});
  const io::model_folder in_half(half.path());
  write_model_folder(folder.path(), copied_weights{in_half});
  const auto stored = from_pretrained<gpt2<cpu>>(folder.path());
  const auto copy_in_half = from_pretrained<gpt2<eigen_backend<float>>>(half.path(), eigen_backend<float>(1));
  CHECK(stored.hash_of_weights() == copy_in_half.hash_of_weights());
  CHECK(stored.hash_of_weights() != model.hash_of_weights());

  const auto on_stored =
      steer(stored, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::shared()));
  auto old = make_intervention_file(on_stored, numbered(on_stored));
  old.version = 1;
  old.model->hash = stored.origin().stored_hash();
  CHECK(fit_to(old, on_stored) == numbered(on_stored));
  const auto on_half =
      steer(copy_in_half, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::shared()));
  CHECK_THAT(refusal(error_kind::mismatch, [&] { fit_to(old, on_half); }), ContainsSubstring("hash"));
}

TEST_CASE("Copies of the same values in any stored type are one model, in float and in double") {
  // Through bfloat16 and float16, after which every type can hold the values.
  const auto narrow = temporary_folder(), narrower = temporary_folder();
  const auto config = GENERATE(small, small_parallel);
  write_model_folder(narrow.path(), random_weights(config, 3, true), {.type = io::dtype::bf16});
  write_model_folder(narrower.path(), copied_weights{io::model_folder(narrow.path())}, {.type = io::dtype::f16});
  const io::model_folder source(narrower.path());

  struct copy {
    temporary_folder folder = {};
    intervention_file old = {};  ///< a file of version 1 for this very folder
  };
  std::vector<std::unique_ptr<copy>> copies;
  const auto with_copies = [&](const auto& use) {
    const auto with_model = [&]<typename Model>(std::type_identity<Model>) {
      for (const auto& one : copies) {
        const auto m = from_pretrained<Model>(one->folder.path(), typename Model::backend_type(1));
        use(*one, m, steer(m, at(site::attn_out{}, policy::steer_vec{}, layers::all(), positions::shared())));
      }
    };
    const auto with_precision = [&]<typename B>(std::type_identity<B>) {
      config.parallel_residual ? with_model(std::type_identity<gpt_neox<B>>{})
                               : with_model(std::type_identity<gpt2<B>>{});
    };
    with_precision(std::type_identity<eigen_backend<float>>{});
    with_precision(std::type_identity<eigen_backend<double>>{});
  };
  for (const auto type : {io::dtype::f64, io::dtype::f32, io::dtype::f16, io::dtype::bf16}) {
    copies.push_back(std::make_unique<copy>());
    write_model_folder(copies.back()->folder.path(), copied_weights{source}, {.type = type});
  }

  std::set<std::string> hashes, stored_hashes;
  std::vector<intervention_file> files;
  with_copies([&](copy& c, const auto& m, const auto& s) {
    hashes.insert(m.hash_of_weights());
    stored_hashes.insert(m.origin().stored_hash());
    files.push_back(through_a_file(make_intervention_file(s, numbered(s))));
    c.old = files.back();
    c.old.version = 1;
    c.old.model->hash = m.origin().stored_hash();
  });
  CHECK(hashes.size() == 1);
  CHECK(stored_hashes.size() == copies.size());
  REQUIRE(files.size() == 8);
  with_copies([&](const copy& c, const auto&, const auto& s) {
    for (const auto& file : files) CHECK(fit_to(file, s) == numbered(s));
    for (const auto& other : copies)
      if (other.get() == &c)
        CHECK(fit_to(other->old, s) == numbered(s));
      else
        CHECK_THAT(refusal(error_kind::mismatch, [&] { fit_to(other->old, s); }), ContainsSubstring("hash"));
  });
}

TEST_CASE("A composition of different policies, layers and positions is one file") {
  const auto s = steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::list({1}), positions::from_end(2)),
                       at(site::mlp_out{}, policy::steer_vec{}, layers::all(), positions::role({"a", "b"})),
                       at(site::resid_post{}, policy::dyn_scalar<>{}, layers::range(0, 1)));
  CHECK(through_a_file(s, numbered(s)) == numbered(s));
  CHECK(make_intervention_file(s, numbered(s)).policies() == "activ-scalar + steer-vec + dyn-scalar");
  const auto none = steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::none()));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { make_intervention_file(none, numbered(none)); }),
             ContainsSubstring("no layer"));
}

TEST_CASE("Several interventions at one site are told apart by their number") {
  const auto s =
      steer(model, std::vector<any_intervention<cpu>>{
                       {*site::find("mlp_out"), policy::activ_scalar{}, layers::all(), positions::shared()},
                       {*site::find("attn_out"), policy::affine{}, layers::list({2}), positions::from_end(2)},
                       {*site::find("mlp_out"), policy::activ_scalar{}, layers::list({0}), positions::absolute()}});
  const auto p = numbered(s);
  CHECK(through_a_file(s, p) == p);
  const auto tensors = tensors_of(p.layout, p.theta, small);
  CHECK(tensors.contains("mlp_out.0.alpha"));
  CHECK(tensors.at("mlp_out.1.alpha").shape == std::vector<index_t>{3, 4});
  CHECK(tensors.contains("attn_out.alpha"));
}

namespace {

/// Two policies with a constant: a member of a plain struct, and one that `each_setting` lists.
struct clipped {
  double limit = 0.01;
  static constexpr per_row<"alpha"> alpha{};
  static constexpr parameter_list parameters{alpha};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.h(j) + (r(alpha) > limit ? r.beta() : r.beta() * 0); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
  }
};
struct named_clipped : clipped {
  static constexpr std::string_view text = "named-clipped";
  constexpr explicit named_clipped(double l) : clipped{l} {}
  constexpr void each_setting(auto&& f) const { f("limit", limit); }
};

}  // namespace

TEST_CASE("A user's parameters are saved whatever they are called, matrices too") {
  for (const auto& by : {positions::absolute(), positions::shared(), positions::role({"a", "b"})}) {
    check_round_trip(named_like_others{}, by);
    const auto s = steer(model, at(site::attn_z{}, named_like_others{}, layers::list({1}), by));
    const auto tensors = tensors_of(s.layout(prompts), numbered(s).theta, small);
    const index_t p = s.layout(prompts).blocks[0].positions.count();
    CHECK(tensors.at("attn_z.alpha").shape == std::vector<index_t>{3, p, 3, 4});
    CHECK(tensors.at("attn_z.weight").shape == std::vector<index_t>{3, p, 3});
    CHECK(tensors.at("attn_z.vector").shape == std::vector<index_t>{3, p, 3, 2});
    CHECK(tensors.at("attn_z.matrix").shape == std::vector<index_t>{3, p, 3, 3, 4});
  }
}

TEST_CASE("Two policies without a name are told apart by their parameters") {
  const auto one = steer(model, at(site::mlp_out{}, named_like_others{}));
  const auto other = steer(model, at(site::mlp_out{}, clipped{}));
  CHECK_THAT(refusal(error_kind::mismatch, [&] { fit_to(make_intervention_file(one, numbered(one)), other); }),
             ContainsSubstring("'bias'"));
}

TEST_CASE("A policy's constants are in its file, and others are refused by name") {
  const auto one = steer(model, at(site::mlp_out{}, clipped{1.0})),
             other = steer(model, at(site::mlp_out{}, clipped{}));
  const auto file = make_intervention_file(one, numbered(one));
  CHECK(fit_to(file, one) == numbered(one));
  CHECK_THAT(refusal(error_kind::mismatch, [&] { fit_to(file, other); }),
             ContainsSubstring("was made with '0' '1', and the composition's with '0.01'"));
  const auto named = steer(model, at(site::mlp_out{}, named_clipped(2)));
  CHECK_THAT(refusal(error_kind::mismatch,
                     [&] {
                       fit_to(make_intervention_file(named, numbered(named)),
                              steer(model, at(site::mlp_out{}, named_clipped(0.5))));
                     }),
             ContainsSubstring("'limit' '2', and the composition's with '0.5'"));
  CHECK_THROWS_AS(evaluate(other, numbered(one), prompts), error);  // in memory too
}

}  // namespace trimtab::test::intervention_tensors_tests
