// SPDX-License-Identifier: Apache-2.0

#include "bad_input.hpp"

#include <limits>

namespace trimtab::test::bad_intervention_tests {

namespace {

/// The parts of an intervention file, written without the library.
struct written {
  std::map<std::string, std::string> metadata = {
      {"format", "trimtab-intervention-1"}, {"policy", "activ-scalar"}, {"position_key", "absolute"}};
  std::map<std::string, io::stored_tensor> tensors = {{"attn_out.alpha", numbers({2, 4})}};

  static io::stored_tensor numbers(const std::vector<index_t>& shape, float value = 0.5f) {
    index_t size = 1;
    for (const auto n : shape) size *= n;
    auto matrix = host_matrix<float>(1, size);
    std::fill(matrix.values.begin(), matrix.values.end(), value);
    return io::store(matrix, shape);
  }
};

}  // namespace

TEST_CASE("Bad intervention files") {
  const model_for_cli model, parallel(true);
  const auto file = model.name("i.safetensors");
  const auto eval = [&](const std::string& folder) {
    return std::vector<std::string>{"eval", "--model", folder, "--data", model.data(), "--intervention", file};
  };
  const auto write = [&](const written& parts) { io::write_safetensors(file, parts.tensors, parts.metadata); };
  write({});
  check_accepted(eval(model.path()));

  const auto meta = [](const std::string& key, const std::string& value) {
    return [=](written& f) { f.metadata[key] = value; };
  };
  const auto no = [](const std::string& key) { return [=](written& f) { REQUIRE(f.metadata.erase(key) == 1); }; };
  const auto only = [](const std::string& name, const std::vector<index_t>& shape) {
    return [=](written& f) { f.tensors = {{name, written::numbers(shape)}}; };
  };
  const auto also = [](const std::string& name, const std::vector<index_t>& shape) {
    return [=](written& f) { f.tensors[name] = written::numbers(shape); };
  };
  const auto both = [](auto one, auto other) {
    return [=](written& f) {
      one(f);
      other(f);
    };
  };

  struct {
    std::function<void(written&)> change;
    std::string sentence;
  } const table[] = {
      // What the file says of itself.
      {no("format"),
       "should have the format trimtab-intervention-2 or trimtab-intervention-1 in its metadata, found none"},
      {meta("format", "pt"),
       "should have the format trimtab-intervention-2 or trimtab-intervention-1 in its metadata, found \"pt\""},
      {no("policy"), "lacks \"policy\" in its metadata"},
      {meta("policy", ""), "lacks \"policy\" in its metadata"},
      {meta("policy", "active-scalar"),
       "the policy 'active-scalar' is unknown; this program has activ-scalar, steer-vec, affine, "
       "dyn-scalar, dyn-scalar-tanh, dyn-scalar-rms, dyn-scalar-tanh-rms, dyn-scalar-mlp, dyn-scalar-cosine, "
       "channel-scale, project-out, low-rank and conditional; did you mean 'activ-scalar'?"},
      {meta("policy", "steer-vec"),
       "has the tensor \"attn_out.alpha\", which does not belong to the policy 'steer-vec'"},
      {no("position_key"), "lacks \"position_key\" in its metadata"},
      {meta("position_key", "abs"), "has the position_key \"abs\"; expected absolute, from_end, role or shared"},
      {meta("positions", "5"), "says in its metadata that it has \"5\" positions, but its tensors have 4"},
      {meta("position_key", "shared"), "has parameters for 4 positions, but the position_key shared has one for all"},
      {meta("position_key", "role"), "lacks \"roles\" in its metadata"},
      {both(meta("position_key", "role"), meta("roles", "[")), "metadata roles' is not valid JSON"},
      {both(meta("position_key", "role"), meta("roles", "{}")), "has the roles {}; expected an array of 4 names"},
      {both(meta("position_key", "role"), meta("roles", "[\"a\"]")),
       "has the roles [\"a\"]; expected an array of 4 names"},
      {both(meta("position_key", "role"), meta("roles", "[\"a\",\"b\",\"c\",4]")), "expected an array of 4 names"},
      {both(meta("position_key", "role"), meta("roles", "[\"a\",\"b\",\"c\",\"a\"]")), "names the role \"a\" twice"},
      {meta("model", "gpt2"), "metadata model' is not valid JSON"},
      {meta("model", "[]"), "metadata model' should hold a JSON object, found []"},
      {meta("model", "{\"layers\": 0}"), "metadata model': \"layers\" should be a positive whole number, found 0"},
      {meta("model", "{\"hash\": 7}"), "metadata model': \"hash\" should be a string, found 7"},
      {meta("layers", "[0]"), "metadata layers' should hold a JSON object, found [0]"},
      {meta("layers", "{\"attn_out\": 0}"), "\"attn_out\" should be an ascending array of layers from 0 to 1, found 0"},
      {meta("layers", "{\"attn_out\": [1, 0]}"), "\"attn_out\" should be an ascending array of layers from 0 to 1"},
      {meta("layers", "{\"attn_out\": [0, 2]}"), "\"attn_out\" should be an ascending array of layers from 0 to 1"},
      {meta("layers", "{\"attn_out\": [-1]}"), "\"attn_out\" should be an ascending array of layers from 0 to 1"},
      {meta("layers", "{\"attn_out\": [0]}"),
       "has numbers in layer 1 of 'attn_out.alpha', which its metadata does not"},
      {meta("layers", "{\"attn-out\": [0]}"), "names the site \"attn-out\"; the sites are resid_pre"},
      // Tensors.
      {[](written& f) { f.tensors.clear(); }, "holds no tensors"},
      {only("alpha", {2, 4}), "has the tensor \"alpha\", but the sites are resid_pre"},
      {only("attn_uot.alpha", {2, 4}), "and a tensor is called site.parameter; did you mean 'attn_out'?"},
      {only("attn_out.beta", {2, 4}),
       "has the tensor \"attn_out.beta\", which does not belong to the policy 'activ-scalar'"},
      {only("attn_out.alpha", {2}),
       "has the tensor 'attn_out.alpha' of shape [2]; expected [L, P]: L layers, P positions"},
      {only("attn_out.alpha", {2, 4, 1}), "has the tensor 'attn_out.alpha' of shape [2, 4, 1]; expected [L, P]"},
      {only("attn_z.alpha", {2, 4}), "has the tensor 'attn_z.alpha' of shape [2, 4]; expected [L, P, H]"},
      {only("attn_out.alpha", {2, 0}), "has the tensor 'attn_out.alpha' of shape [2, 0], which holds no numbers"},
      {only("attn_out.alpha", {0, 4}), "has the tensor 'attn_out.alpha' of shape [0, 4], which holds no numbers"},
      {only("attn_out.alpha", {1'000'000'000'000, 0}), "of shape [1000000000000, 0], which holds no numbers"},
      {also("mlp_out.alpha", {3, 4}), "has tensors for 2 and for 3 layers ('mlp_out.alpha')"},
      {also("mlp_out.alpha", {2, 5}),
       "has the tensor 'mlp_out.alpha' of shape [2, 5] for 5 positions, but the others have 4"},
      {[](written& f) { f.tensors["attn_out.alpha"].type = io::dtype::i32; },
       "has the tensor 'attn_out.alpha' of the dtype I32; expected F64, F32, F16 or BF16"},
      {[](written& f) {
         f.tensors["attn_out.alpha"] = written::numbers({2, 4}, std::numeric_limits<float>::infinity());
       },
       "holds a number that is not finite at [0, 0]"},
      // The model.
      {meta("model", "{\"architecture\": \"gpt_neox\"}"),
       "it was made for the architecture 'gpt_neox', and this model's is 'gpt2'"},
      {meta("model", "{\"layers\": 12}"), "it was made for 12 layers, and this model has 2"},
      {meta("model", "{\"width\": 768}"), "it was made for a width of 768, and this model's is 16"},
      {meta("model", "{\"vocabulary\": 50257}"), "it was made for a vocabulary of 50257, and this model's is 300"},
      {meta("model", "{\"hash\": \"00\"}"), "it was made for weights with the hash '00', and this model's is "},
      {only("attn_out.alpha", {12, 4}), "it is for 12 layers, and the model has 2"},
      {both(meta("policy", "steer-vec"), only("attn_out.vector", {2, 4, 768})),
       "'attn_out.vector' has the shape [2, 4, 768]; the model needs [2, 4, 16]"},
      {only("attn_z.alpha", {2, 4, 12}), "'attn_z.alpha' has the shape [2, 4, 12]; the model needs [2, 4, 2]"},
      {only("attn_out.alpha", {2, 7}),
       "line 1' has a prompt of 4 tokens, but absolute positions need all of one length, 7"},
      {both(meta("position_key", "role"), both(meta("roles", "[\"end\"]"), only("attn_out.alpha", {2, 1}))),
       "data.jsonl': no prompt has the role 'end'"},
  };
  for (const auto& row : table) {
    written parts;
    row.change(parts);
    write(parts);
    const auto is_of_data = row.sentence.starts_with("line 1'") or row.sentence.starts_with("data.jsonl'");
    check_refused(eval(model.path()), {is_of_data ? "" : file, row.sentence});
  }

  written for_sequential_blocks;
  for_sequential_blocks.tensors = {{"resid_mid.alpha", written::numbers({2, 4})}};
  write(for_sequential_blocks);
  check_refused(eval(parallel.path()),
                {file, "it has the site resid_mid, which parallel blocks lack; theirs are resid_pre"});

  written seeded;
  for (const std::string seed : {"", "18446744073709551616", "-1"}) {
    seeded.metadata["seed"] = seed;
    write(seeded);
    check_refused({"eval", "--model", model.path(), "--task", "ccc", "--intervention", file},
                  {file, "has the seed \"" + seed + "\" in its metadata"});
  }
  seeded.metadata["seed"] = "seven";
  write(seeded);
  check_refused({"eval", "--model", model.path(), "--task", "ccc", "--intervention", file},
                {file, "has the seed \"seven\" in its metadata, which is not a whole number below 2^64; give --seed"});
  const std::pair<std::string, std::string> contents[] = {
      {"", "is not a valid safetensors file: it has 0 bytes"},
      {content_of(file).substr(0, 60), "it may be truncated"},
      {content_of(model.name("tokenizer.json")), "is not a valid safetensors file"},
      {content_of(model.name("model.safetensors")),
       "should have the format trimtab-intervention-2 or trimtab-intervention-1 in its metadata"},
  };
  for (const auto& [content, sentence] : contents) {
    put_file(file, content);
    check_refused(eval(model.path()), {file, sentence});
  }
  std::filesystem::remove(file);
  check_refused(eval(model.path()), {file + "': No such file"});
  check_refused({"inspect", file}, {file + "': No such file"});
}

TEST_CASE("An intervention that does not fit the prompt") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  io::write_safetensors(file, written{}.tensors, written{}.metadata);
  const auto with = [&](const std::string& command, const std::string& prompt) {
    return std::vector<std::string>{command, "--model", model.path(), "--prompt", prompt, "--intervention", file};
  };
  check_accepted(with("logits", "wxyz"));
  check_refused(with("logits", "xyz"), {"absolute positions for prompts of 4 tokens, but a prompt has 3"});
  check_refused(with("generate", "wxyz"),
                {file, "absolute positions for prompts of 4 tokens, but generated text has no fixed length"});
  auto roles = written{};
  roles.metadata["position_key"] = "role";
  roles.metadata["roles"] = "[\"a\", \"b\", \"c\", \"d\"]";
  io::write_safetensors(file, roles.tensors, roles.metadata);
  check_refused(with("logits", "wxyz"),
                {file, "finds its positions by role, and a prompt on the command line has none"});
  auto large = written{};
  large.tensors = {{"attn_out.alpha", written::numbers({2, 4}, 3e38f)}};
  io::write_safetensors(file, large.tensors, large.metadata);
  check_refused(with("logits", "wxyz"),
                {"a logit is not a finite number: the strength or the parameters are too large"});
}

}  // namespace trimtab::test::bad_intervention_tests
