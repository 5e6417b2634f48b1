// SPDX-License-Identifier: Apache-2.0

#include "bad_input.hpp"

#include "support/hub_cache.hpp"

#include <map>

namespace trimtab::test::odd_input_tests {

/// Files that are unusual but valid: each must give exactly the numbers of the usual file.

namespace {

/// What `trimtab logits` prints for a model folder.
std::string logits_of(const std::filesystem::path& folder) {
  const auto run = run_trimtab({"logits", "--model", folder.string(), "--ids", "3,1,2", "--json"});
  CAPTURE(folder.string(), run.err);
  CHECK(run.status == 0);
  return run.out;
}

/// The file with its tensors in this order, and with `padding` spaces after the header.
std::string in_order(const taken_apart& file, const std::vector<std::string>& order, std::size_t padding) {
  auto header = file.header;
  std::string data;
  for (const auto& name : order) {
    auto& offsets = header[name]["data_offsets"];
    const auto bytes = file.data.substr(offsets[0], offsets[1].get<std::size_t>() - offsets[0].get<std::size_t>());
    offsets = {data.size(), data.size() + bytes.size()};
    data += bytes;
  }
  return safetensors_with(header.dump() + std::string(padding, ' '), data);
}

}  // namespace

TEST_CASE("Safetensors files in any order, at any address, with any metadata") {
  const model_for_cli model;
  const auto file = model.name("model.safetensors");
  const auto usual = logits_of(model.path());
  const auto parts = taken_apart(content_of(file));
  std::vector<std::string> names;
  for (const auto& [name, entry] : parts.header.items())
    if (name != "__metadata__") names.push_back(name);

  std::map<std::string, std::string> variants;
  variants["as it was"] = content_of(file);
  variants["reversed"] = in_order(parts, {names.rbegin(), names.rend()}, 0);
  std::rotate(names.begin(), names.begin() + 5, names.end());
  for (const std::size_t padding : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u})
    variants["rotated, padding " + std::to_string(padding)] = in_order(parts, names, padding);
  auto changed = parts;
  changed.header["__metadata__"] = io::json::object();
  variants["empty metadata"] = changed.together();
  changed.header.erase("__metadata__");
  variants["no metadata"] = changed.together();
  changed.header["__metadata__"] = nullptr;
  variants["null metadata"] = changed.together();
  changed.header["__metadata__"] = {{"", ""}, {"format", "pt"}, {"x\n", "\xc3\xa9"}};
  variants["odd metadata"] = changed.together();
  changed.add("transformer.h.1.attn.bias", "BOOL", {1, 1, 12, 12}, std::string(144, '\1'));
  changed.add("h.0.attn.masked_bias", "F32", {}, "1234");
  changed.add("transformer.h.0.attn.bias", "U8", {3}, "123");
  variants["buffers"] = changed.together();
  variants["buffers at odd addresses"] = in_order(
      changed,
      [&] {
        auto order = names;
        order.insert(order.begin(), {"transformer.h.0.attn.bias", "h.0.attn.masked_bias", "transformer.h.1.attn.bias"});
        return order;
      }(),
      3);
  changed = parts;
  changed.add("nothing.attn.bias", "F32", {0, 7}, "");
  variants["a buffer without numbers"] = changed.together();
  for (const auto& [what, content] : variants) {
    CAPTURE(what);
    const file_with odd(file, content);
    CHECK(logits_of(model.path()) == usual);
  }
}

TEST_CASE("Tensors of no part of the model change nothing, and every command warns of them") {
  const model_for_cli model;
  const auto file = model.name("model.safetensors");
  const auto usual = logits_of(model.path());
  auto parts = taken_apart(content_of(file));
  parts.add("score.weight", "F32", {1, 2}, "12345678");
  parts.add("v_head.summary.bias", "F16", {}, "12");
  parts.add("step", "I64", {}, "12345678");
  parts.add("nothing", "F8_E4M3", {0, 5}, "");
  parts.add("transformer.foo.weight", "BF16", {1}, "12");
  parts.add("gpt_neox.wte.weight", "F32", {1}, "1234");
  parts.add("layers.0.attention.foo", "F32", {1}, "1234");
  parts.add("\x1b[31m\n" + std::string(900, 'n'), "BOOL", {1}, "1");
  const file_with odd(file, parts.together());
  CHECK(logits_of(model.path()) == usual);

  const std::string warning = "'" + model.path() + "' holds tensors that are no part of the model and are ignored: '";
  const auto is_warned = [&](const outcome& run) {
    CAPTURE(run.err);
    CHECK(run.status == 0);
    CHECK_THAT(run.err, Catch::Matchers::StartsWith("trimtab: warning: " + warning));
    for (const std::string name : {"score.weight", "v_head.summary.bias", "step", "nothing", "transformer.foo.weight",
                                   "gpt_neox.wte.weight", "layers.0.attention.foo"})
      CHECK_THAT(run.err, Catch::Matchers::ContainsSubstring("'" + name + "'"));
    CHECK(run.err.find('\x1b') == run.err.npos);
  };
  const auto saved = model.name("i.safetensors");
  for (const bool quiet : {false, true}) {
    const auto warned = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.begin() + 1, {"--model", model.path()});
      if (quiet) arguments.push_back("--quiet");
      is_warned(run_trimtab(arguments));
    };
    warned({"fit", "--data", model.data(), "--steps", "1", "--out", saved});
    warned({"eval", "--data", model.data(), "--intervention", saved});
    warned({"loss", "--data", model.data(), "--intervention", saved});
    warned({"report", "--data", model.data(), "--out", model.name("r.html"), saved});
    warned({"logits", "--ids", "1"});
    warned({"generate", "--prompt", "a", "--max-new-tokens", "1"});
  }

  const auto text = run_trimtab({"inspect", model.path()});
  CHECK(text.err.empty());
  CHECK_THAT(text.out, Catch::Matchers::ContainsSubstring(warning));
  CHECK(text.out.find('\x1b') == text.out.npos);
  const auto found = io::json::parse(run_trimtab({"inspect", model.path(), "--json"}).out);
  REQUIRE(found["warnings"].size() == 1);
  CHECK(found["warnings"][0].get<std::string>().starts_with(warning));
  const model_for_cli plain;
  CHECK(io::json::parse(run_trimtab({"inspect", plain.path(), "--json"}).out)["warnings"] == io::json::array());
}

TEST_CASE("Of two tied embeddings a folder may hold either") {
  const model_for_cli model;
  const auto file = model.name("model.safetensors");
  const auto usual = logits_of(model.path());
  auto parts = taken_apart(content_of(file));
  parts.header["lm_head.weight"] = parts.header["transformer.wte.weight"];
  parts.header.erase("transformer.wte.weight");
  const file_with odd(file, parts.together());
  CHECK(logits_of(model.path()) == usual);
}

TEST_CASE("Folders with a prefix or without, in one file or many, with buffers, with a copy of a tied embedding") {
  const bool parallel = GENERATE(false, true);
  model_config config = {
      .architecture = "gpt2", .layers = 2, .width = 8, .heads = 2, .hidden = 12, .context = 6, .vocabulary = 20};
  if (parallel) {
    config.architecture = "gpt_neox";
    config.rotary_channels = 2;
    config.nonlinearity = activation::gelu_erf;
    config.parallel_residual = true;
  }
  const auto weights = random_weights(config);
  const auto logits = [&](const folder_style& style) {
    const temporary_folder folder;
    write_model_folder(folder.path(), weights, style);
    return logits_of(folder.path());
  };
  const auto usual = logits({});
  for (const auto& style : {folder_style{.prefix = false}, folder_style{.shards = 2}, folder_style{.shards = 28},
                            folder_style{.prefix = false, .shards = 3, .buffers = true}, folder_style{.buffers = true},
                            folder_style{.tied_copy = not parallel}})
    CHECK(logits(style) == usual);

  // Weights in 16 bits give the same numbers as the same values stored in F32.
  for (const auto type : {io::dtype::f16, io::dtype::bf16}) {
    const temporary_folder narrow, wide;
    write_model_folder(narrow.path(), weights, {.type = type});
    const auto file = io::safetensors_file(narrow.path() / "model.safetensors");
    std::map<std::string, io::stored_tensor> single, twice;
    for (const auto& [name, entry] : file.tensors()) {
      single[name] = io::store(file.read<float>(name), entry.shape);
      twice[name] = io::store(file.read<double>(name), entry.shape);
    }
    const auto stored = io::json::parse(content_of(narrow.path() / "config.json"));
    const auto expected = logits_of(narrow.path());
    CHECK(expected != usual);
    write_model_folder(wide.path(), stored, single);
    CHECK(logits_of(wide.path()) == expected);
    write_model_folder(wide.path(), stored, twice);
    CHECK(logits_of(wide.path()) == expected);
  }
}

TEST_CASE("A model by its name in the cache of the Hub") {
  const model_for_cli model, other(true);
  const std::string hash(40, '0'), newer = "0123456789abcdef0123456789abcdef01234567";
  hub_cache cache;
  cache.add("owner/model", hash, model.path());
  cache.add("owner/model", newer, other.path());
  cache.refer("owner/model", "main", hash);
  cache.refer("owner/model", "refs/pr/1", newer);
  cache.refer("owner/model", "broken", std::string(40, 'b'));
  const auto run = [&](const std::vector<std::string>& arguments, const std::string& input = "") {
    return run_trimtab(arguments, input, {"HF_HUB_CACHE=" + cache.path()});
  };
  const auto logits = [&](const std::string& name) {
    const auto found = run({"logits", "--model", name, "--ids", "3,1,2", "--json"});
    CAPTURE(name, found.err);
    CHECK(found.status == 0);
    return found.out;
  };
  const auto usual = logits_of(model.path()), of_other = logits_of(other.path());
  CHECK(logits("owner/model") == usual);
  CHECK(logits(cache.snapshot("owner/model", hash)) == usual);
  for (const auto& revision : {"refs/pr/1", newer.c_str()})
    CHECK(logits("owner/model@" + std::string(revision)) == of_other);

  // Every command that takes a model.
  const auto saved = model.name("i.safetensors"), page = model.name("r.html");
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"fit", "--model", "owner/model", "--data", model.data(), "--steps", "1", "--out", saved},
           {"eval", "--model", "owner/model", "--data", model.data(), "--intervention", saved},
           {"loss", "--model", "owner/model", "--data", model.data(), "--intervention", saved},
           {"report", "--model", "owner/model", "--data", model.data(), "--out", page, saved},
           {"generate", "--model", "owner/model", "--prompt", "a", "--max-new-tokens", "1"},
           {"inspect", "owner/model"}}) {
    const auto done = run(arguments);
    CAPTURE(arguments, done.err);
    CHECK(done.status == 0);
  }
  CHECK_THAT(content_of(page), Catch::Matchers::ContainsSubstring("owner/model"));
  CHECK(run({"tokenize", "--model", "owner/model"}, "\"abc\"\n").out ==
        run({"tokenize", "--model", model.path()}, "\"abc\"\n").out);

  // The files of the snapshot are not overwritten.
  const auto weights = cache.snapshot("owner/model", hash) / "model.safetensors";
  CHECK(run({"fit", "--model", "owner/model", "--data", model.data(), "--steps", "1", "--out", weights}).status == 2);

  const auto refused = [&](const std::string& name, const std::string& sentence) {
    for (const auto& arguments : {std::vector<std::string>{"logits", "--model", name, "--ids", "1"},
                                  {"inspect", name},
                                  {"tokenize", "--model", name}}) {
      const auto found = run(arguments);
      CAPTURE(arguments, found.err);
      CHECK(found.status == 1);
      CHECK(found.out.empty());
      CHECK(found.error_lines() == 1);
      CHECK_THAT(found.err, Catch::Matchers::ContainsSubstring(sentence));
    }
  };
  refused("owner/none", "'" + cache.path() + "/models--owner--none/refs/main'; `hf download owner/none` downloads it");
  refused("owner/model@v9", "/refs/v9'; `hf download owner/model --revision v9` downloads it");
  refused("owner/model@../refs/main", "the revision of 'owner/model' is '../refs/main'; expected a branch, a tag or");
  refused("owner/model@broken",
          "is incomplete, it lacks all its files; `hf download owner/model --revision broken` downloads the rest");
  cache.refer("owner/model", "odd", "none");
  refused("owner/model@odd", "refs/odd' should hold a commit hash of 40 hexadecimal digits, found \"none\"");
  std::filesystem::remove(weights);
  CHECK_THAT(
      run({"logits", "--model", "owner/model", "--ids", "1"}).err,
      Catch::Matchers::ContainsSubstring("is incomplete, it lacks 'model.safetensors'; `hf download owner/model` "));
  const auto homeless =
      run_trimtab({"inspect", "owner/model"}, "",
                  {"HF_HUB_CACHE=", "HUGGINGFACE_HUB_CACHE=", "HF_HOME=", "XDG_CACHE_HOME=", "HOME="});
  CHECK(homeless.status == 1);
  CHECK_THAT(homeless.err, Catch::Matchers::ContainsSubstring("neither HF_HUB_CACHE, HF_HOME nor HOME says"));
}

TEST_CASE("Configurations with keys that mean nothing here, and without those that have a default") {
  const model_for_cli model;
  const auto file = model.name("config.json");
  const auto usual = logits_of(model.path());
  auto config = io::json::parse(content_of(file));
  config["architectures"] = {"GPT2LMHeadModel"};
  config["n_ctx"] = 1024;
  config["task_specific_params"] = {{"text-generation", {{"do_sample", true}}}};
  config["torch_dtype"] = nullptr;
  config["\xc3\xa9"] = 1e300;
  auto plain = config;
  for (const auto key : {"layer_norm_epsilon", "activation_function", "tie_word_embeddings"}) plain.erase(key);
  for (const auto& content : {config.dump(), config.dump(4) + "\r\n", "\xef\xbb\xbf" + config.dump(), plain.dump()}) {
    const file_with odd(file, content);
    CHECK(logits_of(model.path()) == usual);
  }
}

TEST_CASE("Tokenizers with keys that mean nothing here, in the old format and the older one") {
  const model_for_cli model;
  const auto ids = [&] {
    const auto run = run_trimtab({"tokenize", "--model", model.path()}, "\" ab<f>\"\n\"\\u00e9\"\n");
    CAPTURE(run.err);
    CHECK(run.status == 0);
    return run.out;
  };
  const auto usual = ids();
  const auto file = model.name("tokenizer.json");
  const auto good = io::json::parse(content_of(file));
  auto extra = good;
  extra["padding"] = {{"strategy", "BatchLongest"}};
  extra["post_processor"] = {{"type", "ByteLevel"}, {"trim_offsets", false}};
  extra["model"]["unk_token"] = nullptr;
  extra["model"]["fuse_unk"] = false;
  auto older = good;
  older["model"].erase("type");
  auto pairs = good;
  pairs["model"]["merges"] = io::json::array({io::json::array({"a", "b"}), io::json::array({"Ġ", "ab"})});
  for (const auto& content : {extra.dump(1), older.dump(), pairs.dump(), "\xef\xbb\xbf" + good.dump()}) {
    const file_with odd(file, content);
    CHECK(ids() == usual);
  }
  for (const auto& content :
       {"{}", "{\"add_prefix_space\": false, \"model_max_length\": 1e30}", "{\"add_prefix_space\": null}"}) {
    const file_with odd(model.name("tokenizer_config.json"), content);
    CHECK(ids() == usual);
  }
  std::filesystem::remove(file);
  auto vocabulary = good["model"]["vocab"];
  for (const auto& [vocab, merges] : {std::pair{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}})
    for (const auto& content : {"a b\nĠ ab\n", "#version: 0.2\r\na b\r\nĠ ab\r\n", "\na b\n\nĠ ab"}) {
      const file_with first(model.name(vocab), vocabulary.dump());
      const file_with second(model.name(merges), content);
      CHECK(ids() == usual);
    }
  {
    const file_with first(model.name("vocab.json"), vocabulary.dump());
    const file_with second(model.name("merges.txt"), "a b\nĠ ab\n");
    const file_with config(model.name("tokenizer_config.json"), "{\"add_prefix_space\": true}");
    CHECK(run_trimtab({"tokenize", "--model", model.path()}, "\"ab\"\n").out == "[257]\n");
  }
  vocabulary["##"] = 258;
  const file_with first(model.name("vocab.json"), vocabulary.dump());
  const file_with second(model.name("merges.txt"), "#version: 0.2\na b\nĠ ab\n# #\n");
  CHECK(run_trimtab({"tokenize", "--model", model.path()}, "\"##\"\n").out == "[258]\n");
}

TEST_CASE("Prompt pairs with CRLF, a byte order mark, blank lines, other keys, and control tokens") {
  const model_for_cli model;
  const std::vector<std::string> lines = {R"({"prompt": "ab cd", "correct": "x", "wrong": "y"})",
                                          R"({"prompt": "ab dc", "correct": "y", "wrong": "x"})"};
  const auto figures = [&](const std::string& content, const std::vector<std::string>& more = {}) {
    const auto file = model.file("odd.jsonl", content);
    std::vector<std::string> arguments = {"fit", "--model", model.path(), "--data", file, "--steps", "2", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = run_trimtab(arguments);
    CAPTURE(content, run.err);
    CHECK(run.status == 0);
    auto json = run.json();
    json.erase("warnings");  // which name what is odd
    json.erase("repeat");    // which holds the options
    return json;
  };
  const auto usual = figures(lines[0] + "\n" + lines[1] + "\n");
  CHECK(figures(lines[0] + "\n" + lines[1]) == usual);
  CHECK(figures(lines[0] + "\r\n" + lines[1] + "\r\n") == usual);
  CHECK(figures("\xef\xbb\xbf" + lines[0] + "\r\n" + lines[1]) == usual);
  CHECK(figures("\n\r\n  \t\n" + lines[0] + "\n\n\n" + lines[1] + "\n\n") == usual);
  CHECK(figures(R"( { "note": {"a": [1]}, "prompt": "\u0061b cd", "correct": "x", "wrong": "y", "roles": {} } )"
                "\n" +
                lines[1]) == usual);
  // "<e>" is the control token, or as plain text three tokens.
  const std::string control = R"({"prompt": "<e>", "correct": "x", "wrong": "y"})";
  CHECK(figures(control) == figures(R"({"ids": [258], "correct_id": 120, "wrong_id": 121})"));
  CHECK(figures(control, {"--plain-text"}) == figures(R"({"ids": [60, 101, 62], "correct_id": 120, "wrong_id": 121})"));
  CHECK_FALSE(
      figures(lines[0] + "\n" + R"({"prompt": "a", "correct": "x", "wrong": "y"})", {"--positions", "shared"}).empty());
}

TEST_CASE("Interventions with names that mean something elsewhere") {
  const model_for_cli model;
  const auto usual = model.name("i.safetensors");
  check_accepted({"fit", "--model", model.path(), "--data", model.data(), "--steps", "1", "--out", usual});
  const temporary_folder folder;
  const std::vector<std::string> names = {"[a]", "[a,b]", "{}", "fit", "%%", "-1", "--out="};
  for (const auto& name : names) std::filesystem::copy(usual, folder.path() / name);
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  std::vector<std::string> arguments = {"report",    "--model",     model.path(), "--data", model.data(),
                                        "--heatmap", "[map,1].svg", "--json",     "--"};
  arguments.insert(arguments.end(), names.begin(), names.end());
  const auto all = run_trimtab(arguments);
  const auto one = run_trimtab(
      {"report", "[a]", "--model", model.path(), "--data", model.data(), "--out", "[page]", "{}", "--json"});
  std::filesystem::current_path(before);
  CHECK(all.json()["fits"] == names);
  CHECK(std::filesystem::exists(folder.path() / "[map,1].svg"));
  CHECK(one.json()["fits"] == std::vector<std::string>{"[a]", "{}"});
  CHECK(std::filesystem::exists(folder.path() / "[page]"));
}

TEST_CASE("Prompts of one token and of exactly the context") {
  const model_for_cli model;
  const auto intervention = model.name("i.safetensors");
  for (const std::string prompt : {"x", "xxxxxxxxxxxx"}) {
    CAPTURE(prompt);
    const auto length = std::to_string(prompt.size());
    const auto data =
        model.file("one.jsonl", R"({"prompt": ")" + prompt + R"(", "correct": "x", "wrong": "y"})" + std::string("\n"));
    for (const std::string positions : {"absolute", "from_end", "shared"})
      check_accepted({"fit", "--model", model.path(), "--data", data, "--steps", "2", "--positions", positions, "--out",
                      intervention});
    check_accepted({"loss", "--model", model.path(), "--data", data, "--intervention", intervention});
    const auto all = run_trimtab({"logits", "--model", model.path(), "--prompt", prompt, "--all", "--json"}).json();
    CHECK(all["logits"].size() == prompt.size());
    const auto text =
        run_trimtab({"generate", "--model", model.path(), "--prompt", prompt, "--max-new-tokens", "20", "--json"})
            .json();
    const auto& sample = text["samples"][0];
    CHECK(sample["prompt_ids"].size() + sample["ids"].size() <= 12);
    if (prompt.size() == 12) CHECK(sample["stopped"] == "context");
  }
}

}  // namespace trimtab::test::odd_input_tests
