// SPDX-License-Identifier: Apache-2.0

#include "bad_input.hpp"

#include <limits>

#include <sys/stat.h>

namespace trimtab::test::bad_weights_tests {

namespace {

struct content_row {
  std::string content, sentence;
};

std::string one_tensor(const std::string& dtype, const std::string& shape, const std::string& offsets,
                       std::size_t data) {
  return safetensors_with(R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}",
                          std::string(data, 'x'));
}
std::string two_tensors(const std::string& first, const std::string& second, std::size_t data) {
  return safetensors_with(R"({"t":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
                              R"(},"u":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}",
                          std::string(data, 'x'));
}

}  // namespace

TEST_CASE("Bad safetensors files") {
  const model_for_cli model;
  const std::vector<std::string> logits = {"logits", "--model", model.path(), "--ids", "1,2"};
  check_accepted(logits);
  const auto good = content_of(model.name("model.safetensors"));

  const std::vector<content_row> table = {
      // The frame.
      {"", "it has 0 bytes, too few for any header"},
      {"1234567", "it has 7 bytes, too few for any header"},
      {safetensors_of_length(3, "{}"), "its header claims 3 bytes, but only 2 follow; it may be truncated"},
      {safetensors_of_length(100'000'001, "{}"), "its header claims 100000001 bytes, the format allows 100000000"},
      {safetensors_of_length(0xffffffffffffffff, "{}"), "claims 18446744073709551615 bytes, the format allows"},
      {safetensors_of_length(0xfffffffffffffff8, "{}"), "claims 18446744073709551608 bytes, the format allows"},
      {safetensors_of_length(0, "{}"), "its header does not start with '{'"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS"},
      {std::string("PK\3\4\0\0\0\0 archive/data.pkl", 24), "only 16 follow"},
      {good.substr(0, good.size() / 2), "it may be truncated"},
      {good.substr(0, good.size() - 1), "it may be truncated"},
      {good.substr(0, 100), "it may be truncated"},
      {good + "x", "1 bytes after the last tensor belong to no tensor"},
      // The header as JSON.
      {safetensors_with(" {}"), "its header does not start with '{'"},
      {safetensors_with("[]"), "its header does not start with '{'"},
      {safetensors_with("{\"t\":"), "is not valid JSON: parse error at line 1, column 6"},
      {safetensors_with("{} x"), "is not valid JSON: parse error at line 1, column 4"},
      {safetensors_with(std::string("{}\0", 3)), "is not valid JSON: byte 2 is NUL"},
      {safetensors_with("{\"\xff\":{}}"), "ill-formed UTF-8"},
      {safetensors_with("{\"\\ud800\":{}}"), "surrogate"},
      {safetensors_with("{\"a\":" + std::string(100'000, '[')), "it is nested deeper than 64 levels"},
      {safetensors_with("{\"a\":1e999}"), "number overflow"},
      {safetensors_with(R"({"t":{},"t":{}})"), "the key \"t\" occurs twice in one object"},
      {safetensors_with(R"({"t":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}})", "1234"),
       "the key \"shape\" occurs twice in one object"},
      // Metadata.
      {safetensors_with(R"({"__metadata__":[]})"), "__metadata__ should be an object, found []"},
      {safetensors_with(R"({"__metadata__":{"n":1}})"), "the metadata \"n\" should be a string, found 1"},
      {safetensors_with(R"({"__metadata__":{"n":{"x":"y"}}})"), "the metadata \"n\" should be a string, found {"},
      {safetensors_with(R"({"__metadata__":{},"__metadata__":{}})"), "\"__metadata__\" occurs twice"},
      // One tensor.
      {safetensors_with(R"({"t":[]})"), "tensor \"t\" should be described by an object, found []"},
      {safetensors_with(R"({"t":null})"), "tensor \"t\" should be described by an object, found null"},
      {safetensors_with(R"({"t":{"shape":[0],"data_offsets":[0,0]}})"), "tensor \"t\" lacks \"dtype\""},
      {safetensors_with(R"({"t":{"dtype":"U8","data_offsets":[0,0]}})"), "tensor \"t\" lacks \"shape\""},
      {safetensors_with(R"({"t":{"dtype":"U8","shape":[0]}})"), "tensor \"t\" lacks \"data_offsets\""},
      {safetensors_with(R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"strides":[1]}})"),
       "tensor \"t\" has an unknown entry \"strides\""},
      {one_tensor("\"Q4\"", "[4]", "[0,4]", 4), "tensor \"t\" has dtype \"Q4\"; expected one of F64, F32, F16"},
      {one_tensor("\"f32\"", "[1]", "[0,4]", 4), "tensor \"t\" has dtype \"f32\"; expected one of"},
      {one_tensor("1", "[4]", "[0,4]", 4), "tensor \"t\" has dtype 1; expected one of"},
      {one_tensor("\"U8\"", "4", "[0,4]", 4), "a list of whole numbers as \"shape\", found 4"},
      {one_tensor("\"U8\"", "[-4]", "[0,4]", 4), "a list of whole numbers as \"shape\", found [-4]"},
      {one_tensor("\"U8\"", "[4.0]", "[0,4]", 4), "a list of whole numbers as \"shape\", found [4.0]"},
      {one_tensor("\"U8\"", "[\"4\"]", "[0,4]", 4), "a list of whole numbers as \"shape\", found [\"4\"]"},
      {one_tensor("\"U8\"", "[[4]]", "[0,4]", 4), "a list of whole numbers as \"shape\", found [[4]]"},
      {one_tensor("\"U8\"", "[9223372036854775808]", "[0,4]", 4), "a list of whole numbers as \"shape\""},
      {one_tensor("\"U8\"", "[36893488147419103236]", "[0,4]", 4), "a list of whole numbers as \"shape\""},
      {one_tensor("\"U8\"", "[4294967296,4294967296]", "[0,0]", 0), "a shape that is too large: [4294967296, 42949"},
      {one_tensor("\"U8\"", "[4294967296,4294967296,0]", "[0,0]", 0), "a shape that is too large"},
      {one_tensor("\"F64\"", "[2305843009213693952]", "[0,0]", 0), "a shape that is too large"},
      {one_tensor("\"F32\"", "[3]", "[0,4]", 4),
       "of shape [3] and dtype F32 needs 12 bytes, but its data_offsets hold 4"},
      {one_tensor("\"F32\"", "[]", "[0,0]", 0), "of shape [] and dtype F32 needs 4 bytes"},
      // Offsets.
      {one_tensor("\"U8\"", "[4]", "[0]", 4), "should have two \"data_offsets\", found [0]"},
      {one_tensor("\"U8\"", "[4]", "[0,4,8]", 4), "should have two \"data_offsets\", found [0, 4, 8]"},
      {one_tensor("\"U8\"", "[4]", "[-4,0]", 4), "a list of whole numbers as \"data_offsets\", found [-4,0]"},
      {one_tensor("\"U8\"", "[4]", "[4,0]", 4), "ends before it begins: data_offsets [4, 0]"},
      {one_tensor("\"U8\"", "[4]", "[18446744073709551612,0]", 4), "a list of whole numbers as \"data_offsets\""},
      {one_tensor("\"U8\"", "[4]", "[0,4]", 3), "tensor \"t\" ends at byte 4 of the data, but the file holds only 3"},
      {one_tensor("\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]", 3), "but the file holds only 3"},
      {one_tensor("\"U8\"", "[4]", "[2,6]", 6), "begins at byte 2 of the data, but the tensor before it ends at 0"},
      {one_tensor("\"U8\"", "[4]", "[0,4]", 6), "2 bytes after the last tensor belong to no tensor"},
      {two_tensors("[0,4]", "[2,6]", 6), "tensor \"u\" begins at byte 2 of the data, inside the tensor before it"},
      {two_tensors("[0,4]", "[0,4]", 4), "tensor \"u\" begins at byte 0 of the data, inside the tensor before it"},
      {two_tensors("[5,9]", "[0,4]", 9),
       "tensor \"t\" begins at byte 5 of the data, but the tensor before it ends at 4"},
      {safetensors_with("{}", "x"), "1 bytes after the last tensor belong to no tensor"},
  };
  for (const auto& row : table) {
    const file_with bad(model.name("model.safetensors"), row.content);
    check_refused(logits, {model.name("model.safetensors") + "' is not ", row.sentence});
    check_refused({"inspect", model.name("model.safetensors")}, {"model.safetensors' is not ", row.sentence});
  }
}

TEST_CASE("Weights that are not those of the model") {
  const model_for_cli model, neox(true);
  const auto file = model.name("model.safetensors");
  const std::string w = "transformer.";
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();

  struct {
    std::function<void(taken_apart&)> change;
    std::vector<std::string> words;
  } const table[] = {
      {[&](auto& f) { f.remove(w + "h.1.attn.c_attn.bias"); }, {"'h.1.attn.c_attn.bias' is missing"}},
      {[&](auto& f) { f.remove(w + "wte.weight"); }, {"'wte.weight' is missing"}},
      {[&](auto& f) { f.add(w + "h.0.adapter", "F32", {1}, "1234"); }, {"'transformer.h.0.adapter' is unexpected"}},
      {[&](auto& f) { f.add(w + "h.2.ln_1.weight", "F32", {1}, "1234"); },
       {"'transformer.h.2.ln_1.weight' is unexpected"}},
      {[&](auto& f) { f.add("h.0.attn.lora_A", "F32", {}, "1234"); }, {"'h.0.attn.lora_A' is unexpected"}},
      {[&](auto& f) { f.add("h.7.attn.c_attn.lora_A", "F32", {0}, ""); }, {"'h.7.attn.c_attn.lora_A' is unexpected"}},
      {[&](auto& f) { f.add("lm_head.bias", "F32", {1}, "1234"); }, {"'lm_head.bias' is unexpected"}},
      {[&](auto& f) { f.add("h.0.\x1b[31m\n" + std::string(900, 'n'), "F32", {1}, "1234"); },
       {"nnn...' is unexpected"}},
      {[&](auto& f) { f.add("wte.weight", "F32", {1}, "1234"); },
       {"wte.weight', but so does", "transformer.wte.weight'"}},
      {[&](auto& f) {
         f.header[w + "h.1.mlp.c_fc.weight"]["shape"] = {24, 16};
       },
       {"'h.1.mlp.c_fc.weight' has the shape [24, 16] instead of [16, 24]"}},
      {[&](auto& f) {
         f.header[w + "h.1.ln_1.bias"]["shape"] = {1, 16};
       },
       {"'h.1.ln_1.bias' has the shape [1, 16] instead of [16]"}},
      {[&](auto& f) {
         f.header[w + "wte.weight"]["shape"] = {16, 300};
       },
       {"'wte.weight' has the shape [16, 300] instead of [300, 16]"}},
      {[&](auto& f) {
         f.remove(w + "ln_f.bias");
         f.add(w + "ln_f.bias", "F32", {}, "1234");
       },
       {"'ln_f.bias' has the shape [] instead of [16]"}},
      {[&](auto& f) {
         f.remove(w + "ln_f.bias");
         f.add(w + "ln_f.bias", "F32", {0}, "");
       },
       {"'ln_f.bias' has the shape [0] instead of [16]"}},
      {[&](auto& f) { f.header[w + "ln_f.weight"]["dtype"] = "I32"; },
       {"'ln_f.weight' has the dtype I32 instead of F64, F32, F16 or BF16"}},
      {[&](auto& f) {
         f.header[w + "ln_f.weight"]["dtype"] = "U8";
         f.header[w + "ln_f.weight"]["shape"] = {64};
       },
       {"'ln_f.weight' has the shape [64] instead of [16]"}},
      {[&](auto& f) { f.set(w + "h.1.ln_2.bias", 5, nan); },
       {"tensor 'transformer.h.1.ln_2.bias' of '", "holds a number that is not finite at [5]"}},
      {[&](auto& f) { f.set(w + "h.0.attn.c_attn.weight", 49, -infinity); }, {"c_attn.weight' of '", "at [1, 1]"}},
      {[&](auto& f) { f.set(w + "wte.weight", 299 * 16 + 15, infinity); }, {"wte.weight' of '", "at [299, 15]"}},
      {[&](auto& f) {
         f.add("lm_head.weight", "F32", {300, 16}, std::string(300 * 16 * 4, '\0'));
       },
       {"an 'lm_head.weight' that differs from 'wte.weight', though config.json ties them"}},
  };
  const std::vector<std::string> logits = {"logits", "--model", model.path(), "--ids", "1,2"};
  for (const auto& row : table) {
    auto parts = taken_apart(content_of(file));
    row.change(parts);
    const file_with bad(file, parts.together());
    auto words = row.words;
    words.push_back(model.path());
    check_refused(logits, words);
  }

  // With --allow-non-finite, weights that no prompt uses may be NaN, as long as no result is.
  auto odd = taken_apart(content_of(file));
  odd.set(w + "wpe.weight", 11 * 16, nan);
  {
    const file_with bad(file, odd.together());
    check_refused(logits, {file, "tensor 'transformer.wpe.weight'", "not finite at [11, 0]"});
    auto allowed = logits;
    allowed.push_back("--allow-non-finite");
    check_accepted(allowed);
    check_refused({"logits", "--model", model.path(), "--ids", "1,2,3,4,5,6,7,8,9,10,11,12", "--allow-non-finite"},
                  {"a logit is not a finite number", "or the weights are not finite"});
  }

  const auto of_neox = [&](const std::function<void(taken_apart&)>& change, const std::string& sentence) {
    auto parts = taken_apart(content_of(neox.name("model.safetensors")));
    change(parts);
    const file_with bad(neox.name("model.safetensors"), parts.together());
    check_refused({"logits", "--model", neox.path(), "--ids", "1"}, {neox.path(), sentence});
  };
  of_neox([](auto& f) { f.remove("embed_out.weight"); }, "'embed_out.weight' is missing");
  for (const std::string name : {"layers.1.attention.foo", "gpt_neox.layers.3.attention.foo"})
    of_neox([&](auto& f) { f.add(name, "F32", {1}, "1234"); }, "'" + name + "' is unexpected");
}

TEST_CASE("Weights that are no file") {
  const model_for_cli model;
  const auto file = std::filesystem::path(model.name("model.safetensors"));
  const auto said = [&](const std::string& sentence) {
    check_refused({"logits", "--model", model.path(), "--ids", "1,2"}, {model.path(), sentence});
    std::filesystem::remove_all(file);
  };
  std::filesystem::remove(file);
  said("holds neither model.safetensors nor model.safetensors.index.json; weights in other formats");
  model.file("pytorch_model.bin", "PK");
  said("AutoModelForCausalLM.from_pretrained('" + model.path() + "').save_pretrained('" + model.path() +
       "', safe_serialization=True)");
  std::filesystem::create_directory(file);
  said("model.safetensors' is a folder where a file was expected");
  ::mkfifo(file.c_str(), 0600);
  said("model.safetensors' is a pipe or device where a regular file was expected");
  std::filesystem::create_symlink("/dev/zero", file);
  said("model.safetensors' is a pipe or device where a regular file was expected");
  std::filesystem::create_symlink("nowhere", file);
  said("cannot open '" + file.string() + "': No such file");
  std::filesystem::create_symlink("model.safetensors", file);
  said("cannot open '" + file.string() + "': Too many levels of symbolic links");
  check_refused({"logits", "--model", "/nowhere/at/all", "--ids", "1"}, {"/nowhere/at/all/config.json': No such file"});
  check_refused({"logits", "--model", model.data(), "--ids", "1"}, {"data.jsonl/config.json': Not a directory"});
  check_refused({"logits", "--model", "", "--ids", "1"}, {"--model is ''; expected a path"});
  check_refused({"inspect", "/nowhere/at/all"}, {"'/nowhere/at/all': No such file"});
  check_refused({"inspect", "/dev/null"}, {"'/dev/null' is a pipe or device"});
  check_refused({"inspect", model.data()}, {"data.jsonl' is not a valid safetensors file"});
}

TEST_CASE("Bad indices of shards") {
  const temporary_folder folder;
  const model_config config = {
      .architecture = "gpt2", .layers = 1, .width = 4, .heads = 2, .hidden = 4, .context = 4, .vocabulary = 8};
  write_model_folder(folder.path(), random_weights(config), {.shards = 2});
  const std::vector<std::string> logits = {"logits", "--model", folder.path().string(), "--ids", "1,2"};
  check_accepted(logits);

  const auto index = folder.path() / "model.safetensors.index.json";
  const auto good = io::json::parse(content_of(index));
  const std::string bias = "transformer.ln_f.bias";  // in one shard
  const std::string its_shard = good["weight_map"][bias];
  const std::string other_shard = its_shard == "model-1.safetensors" ? "model-2.safetensors" : "model-1.safetensors";
  const auto with = [&](const std::string& name, const io::json& shard) {
    auto changed = good;
    changed["weight_map"][name] = shard;
    return changed.dump();
  };
  auto without = good;
  without["weight_map"].erase(bias);

  const std::vector<content_row> table = {
      {"{\"weight_map\": ", "is not valid JSON"},
      {"", "is not valid JSON"},
      {"[]", "should hold a JSON object, found []"},
      {"{}", "lacks \"weight_map\", which should be an object"},
      {R"({"weight_map": []})", "\"weight_map\" should be an object, found []"},
      {R"({"weight_map": {}})", "is missing"},
      {R"({"weight_map": {"a": "b"}, "weight_map": {}})", "the key \"weight_map\" occurs twice"},
      {with(bias, 1), "\"transformer.ln_f.bias\" should be a string, found 1"},
      {with(bias, "../model-1.safetensors"), "names the shard \"../model-1.safetensors\"; expected the plain name"},
      {with(bias, "/etc/passwd.safetensors"), "names the shard \"/etc/passwd.safetensors\"; expected the plain name"},
      {with(bias, "/etc/passwd"), "names the shard \"/etc/passwd\"; expected the plain name"},
      {with(bias, "sub/model-1.safetensors"), "names the shard \"sub/model-1.safetensors\"; expected the plain name"},
      {with(bias, "./model-1.safetensors"), "names the shard \"./model-1.safetensors\"; expected the plain name"},
      {with(bias, "..\\model-1.safetensors"), "expected the plain name"},
      {with(bias, ".."), "names the shard \"..\"; expected the plain name"},
      {with(bias, ""), "names the shard \"\"; expected the plain name"},
      {with(bias, ".safetensors"), "names the shard \".safetensors\"; expected the plain name"},
      {with(bias, "pytorch_model.bin"), "names the shard \"pytorch_model.bin\"; expected the plain name"},
      {with(bias, "a\n.safetensors"), "names the shard \"a\\n.safetensors\"; expected the plain name"},
      {with(bias, std::string("a\0.safetensors", 14)), "names the shard \"a\\u0000.safetensors\"; expected"},
      {with(bias, "absent.safetensors"), "absent.safetensors': No such file"},
      {with(bias, other_shard), "puts 'transformer.ln_f.bias' into '" + other_shard + "', which does not hold it"},
      {with("wte.weight", other_shard), "puts 'wte.weight' into '" + other_shard + "', which does not hold it"},
      {with("h.0.absent", other_shard), "puts 'h.0.absent' into '" + other_shard + "', which does not hold it"},
      {without.dump(), "holds 'transformer.ln_f.bias', which '"},
  };
  for (const auto& row : table) {
    const file_with bad(index, row.content);
    check_refused(logits, {folder.path().string(), row.sentence});
  }

  for (const std::string name :
       {"lm_head.weight", "h.0.attn.bias", "transformer.h.0.attn.masked_bias", "score.weight"}) {
    const file_with odd(index, with(name, other_shard));
    check_accepted(logits);
  }

  const auto two = folder.path() / "model-3.safetensors";
  const auto number = io::store(host_matrix<float>(1, 4), {4});
  for (const auto& name : {bias, std::string("ln_f.bias")}) {
    io::write_safetensors(two, {{name, number}});
    const file_with bad(index, with(name == bias ? "more" : name, "model-3.safetensors"));
    check_refused(logits, {"model-3.safetensors' holds '" + name + "', but so does '", its_shard});
  }
  std::filesystem::remove(folder.path() / other_shard);
  check_refused(logits, {other_shard + "': No such file"});
  std::filesystem::create_directory(folder.path() / other_shard);
  check_refused(logits, {other_shard + "' is a folder where a file was expected"});
}

}  // namespace trimtab::test::bad_weights_tests
