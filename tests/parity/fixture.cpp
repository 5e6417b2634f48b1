// SPDX-License-Identifier: Apache-2.0

#include "parity/fixture.hpp"

#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/json/json.hpp>

namespace trimtab::test {
namespace {

using io::json;

/// The enumerator whose place is that of `word` among the words; an unknown word throws.
template <typename Enum>
Enum choose(const json& word, std::initializer_list<const char*> words) {
  int place = 0;
  for (const char* known : words) {
    if (word == known) return static_cast<Enum>(place);
    ++place;
  }
  throw error(error_kind::bad_file, "the fixtures say " + word.dump() + ", which these tests do not know");
}

std::vector<prompt_pair> read_prompts(const json& from) {
  std::vector<prompt_pair> prompts;
  for (const json& p : from) {
    prompt_pair pair;
    pair.ids = p.at("ids").get<std::vector<int>>();
    pair.correct_id = p.at("correct_id");
    pair.wrong_id = p.at("wrong_id");
    prompts.push_back(std::move(pair));
  }
  return prompts;
}

expected_terms read_terms(const json& from) {
  return {from.at("loss"), from.at("effectiveness"), from.at("faithfulness"), from.at("minimality")};
}

void read_problem(const json& from, const fixture& all, problem& p) {
  p.name = from.at("name");
  p.prompts = all.batches.at(from.at("batch"));
  p.policy = from.at("policy");
  if (p.policy == "dyn_scalar") {
    const bool bounded = choose<int>(from.at("squash"), {"none", "tanh"}) == 1;
    const bool rms = choose<int>(from.at("normalise"), {"none", "rms"}) == 1;
    p.options = {{"gate", bounded and rms ? "tanh-rms"
                          : bounded       ? "tanh"
                          : rms           ? "rms"
                                          : "linear"},
                 {"bias", from.at("bias") ? "yes" : "no"}};
  }
  using key = position_key::kind;
  const key by = choose<int>(from.at("position_key"), {"absolute", "from_end", "shared"}) == 2
                     ? key::shared
                     : choose<key>(from.at("position_key"), {"absolute", "from_end"});
  p.positions = position_key::of(by, from.at("positions"));
  p.sites = from.at("sites").get<std::vector<std::string>>();
  p.layers = from.at("layers").get<std::vector<index_t>>();

  const json& o = from.at("objective");
  using objective::effectiveness, objective::faithfulness, objective::minimality;
  p.objective =
      1.0 * effectiveness{.margin = o.at("margin"),
                          .shape = choose<objective::psi>(o.at("psi"), {"hinge", "identity", "softplus"})} +
      o.at("lambda_f").get<double>() *
          faithfulness{.over = choose<objective::vocabulary>(o.at("kl"), {"masked", "full"}),
                       .direction = choose<objective::kl_direction>(o.at("kl_direction"), {"forward", "reverse"})} +
      o.at("lambda_m").get<double>() *
          minimality{.norm = choose<parameter_norm>(o.at("minimality"), {"sum", "mean", "group"})};
  p.strengths = o.at("strengths").get<std::vector<double>>();
}

/// The tensors of a file whose names start with `prefix`, under their names without it.
std::map<std::string, host_matrix<double>> read_below(const io::safetensors_file& file, const std::string& prefix) {
  std::map<std::string, host_matrix<double>> found;
  for (const auto& [name, place] : file.tensors())
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = file.read<double>(name);
  return found;
}

tensors read_tensors(const io::safetensors_file& file, const std::string& prefix) {
  tensors found;
  for (auto& [name, matrix] : read_below(file, prefix)) found[name] = matrix.values;
  return found;
}

steered_case read_case(const json& from, const fixture& all, const io::safetensors_file& file) {
  steered_case c;
  read_problem(from, all, c);
  c.expected = read_terms(from.at("expected"));
  for (const json& p : from.at("expected").at("per_prompt")) {
    for (const auto& [strength, logit_diff] : p.at("logit_diff").items())
      c.logit_diffs[std::stod(strength)].push_back(logit_diff);
    c.divergences.push_back(p.at("kl"));
  }
  c.parameters = read_tensors(file, c.name + "/params/");
  c.gradient = read_tensors(file, c.name + "/grad/");
  for (auto& [strength, logits] : read_below(file, c.name + "/logits/"))
    c.logits[std::stod(strength)] = std::move(logits);
  return c;
}

trajectory read_trajectory(const json& from, const fixture& all, const io::safetensors_file& file) {
  trajectory t;
  read_problem(from, all, t);
  t.optimizer = {.learning_rate = from.at("learning_rate"),
                 .beta_1 = from.at("beta1"),
                 .beta_2 = from.at("beta2"),
                 .epsilon = from.at("epsilon")};
  t.steps = from.at("steps");
  for (const json& terms : from.at("trace")) t.terms.push_back(read_terms(terms));
  t.terms.push_back(read_terms(from.at("final")));
  t.parameters = read_tensors(file, t.name + "/params/");
  return t;
}

fixture read(const std::string& name) {
  fixture all;
  all.folder = std::filesystem::path(TRIMTAB_SOURCE_DIR) / "tests/parity/fixtures" / name;
  const json from = io::read_json_file(all.folder / "cases.json");
  const io::safetensors_file file(all.folder / "expected.safetensors");
  for (const auto& [batch, prompts] : from.at("batches").items()) all.batches[batch] = read_prompts(prompts);
  all.unsteered = read_below(file, "unsteered/");
  const json& recorded = from.at("activations_of");
  all.recorded = all.batches.at(recorded.at("batch")).at(recorded.at("prompt").get<std::size_t>());
  all.activations = read_below(file, "activations/");
  for (const json& c : from.at("cases")) all.cases.push_back(read_case(c, all, file));
  for (const json& t : from.at("trajectories")) all.trajectories.push_back(read_trajectory(t, all, file));
  return all;
}

}  // namespace

const fixture& read_fixture(const std::string& name) {
  static std::map<std::string, fixture> fixtures;
  const auto known = fixtures.find(name);
  return known != fixtures.end() ? known->second : fixtures.emplace(name, read(name)).first->second;
}

}  // namespace trimtab::test
