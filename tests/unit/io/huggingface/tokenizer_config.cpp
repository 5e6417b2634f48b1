// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/huggingface/tokenizer_files.hpp>

#include "support/assets.hpp"
#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace trimtab::test::tokenizer_config_tests {

/// Files beside a vocabulary. The ids are those of transformers 5.24 (`AutoTokenizer`), those of templates and added
/// tokens within tokenizer.json also those of tokenizers 0.23.

using Catch::Matchers::ContainsSubstring;
using io::begin_with_bos;
using io::json;
namespace fs = std::filesystem;

namespace {

using ids = std::vector<int>;
using files = std::map<std::string, json>;

const json tool = {{"content", "<tool>"}, {"lstrip", false},      {"rstrip", false},
                   {"normalized", true},  {"single_word", false}, {"special", false}};

json with(json object, const json& changes) {
  object.update(changes);
  return object;
}

/// The whole text of a prompt and what stands after it.
ids prompt_ids(const text::tokenizer& tokenizer, const std::string& text) {
  auto found = tokenizer.encode_prompt(text);
  found.insert(found.end(), tokenizer.after().begin(), tokenizer.after().end());
  return found;
}

/// A folder with the tokenizer.json of the project's small GPT-2: "<|endoftext|>" is 1865, its last token.
class small_gpt2 {
 public:
  explicit small_gpt2(
      const files& beside = {}, const std::function<void(json&)>& change = [](json&) {}) {
    auto root = io::read_json_file(fs::path(TRIMTAB_SOURCE_DIR) / "examples/models/tiny-gpt2/tokenizer.json");
    change(root);
    folder_.file("tokenizer.json", root.dump());
    for (const auto& [name, content] : beside) folder_.file(name, content.dump());
  }

  io::stored_tokenizer open(io::tokenizer_options options = {}) const {
    return io::open_tokenizer(folder_.path(), options);
  }
  ids encode(const std::string& text) const { return prompt_ids(open().tokenizer, text); }
  std::string refused(error_kind kind, io::tokenizer_options options = {}) const {
    return refusal(kind, [&] { open(options); });
  }

 private:
  temporary_folder folder_;
};

ids with_config(const json& config, const std::string& text) {
  return small_gpt2({{"tokenizer_config.json", config}}).encode(text);
}

/// The folder of GPT-2's vocab.json and merges.txt with files beside them, or of GPT-NeoX's.
class pair_of_files {
 public:
  explicit pair_of_files(const fs::path& vocabulary, const files& beside = {}) {
    if (vocabulary.extension() == ".json" and vocabulary.filename() == "20B_tokenizer.json") {
      const auto root = io::read_json_file(vocabulary);
      folder_.file("vocab.json", root["model"]["vocab"].dump());
      std::string merges = "#version: 0.2\n";
      for (const auto& merge : root["model"]["merges"])
        merges += (merge.is_string() ? merge.get<std::string>()
                                     : merge[0].get<std::string>() + " " + merge[1].get<std::string>()) +
                  "\n";
      folder_.file("merges.txt", merges);
    } else {
      fs::copy_file(vocabulary / "encoder.json", folder_.path() / "vocab.json");
      fs::copy_file(vocabulary / "vocab.bpe", folder_.path() / "merges.txt");
    }
    for (const auto& [name, content] : beside) folder_.file(name, content.dump());
  }

  ids encode(const std::string& text) const { return prompt_ids(io::read_tokenizer(folder_.path()), text); }

 private:
  temporary_folder folder_;
};

/// The template of a post-processor: end of text, the text, and if asked end of text again.
json template_of(bool is_after) {
  const json end = {{"SpecialToken", {{"id", "<|endoftext|>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  auto single = json::array({end, text});
  if (is_after) single.push_back(end);
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", json::array()},
          {"special_tokens", {{"<|endoftext|>", {{"id", "<|endoftext|>"}, {"ids", {1865}}}}}}};
}

}  // namespace

TEST_CASE("tokens of added_tokens_decoder are added with their flags") {
  const auto decoder = [](const json& tokens) { return json{{"added_tokens_decoder", tokens}}; };
  CHECK(with_config(decoder({{"1866", tool}}), "x<tool>y") == ids{120, 1866, 121});
  CHECK(with_config(decoder({{"1866", with(tool, {{"content", "tool"}, {"single_word", true}})}}), "a tool b") ==
        ids{97, 32, 1866, 360});
  CHECK(with_config(decoder({{"1866", with(tool, {{"content", "tool"}, {"single_word", true}})}}), "tool_") ==
        ids{1090, 332, 95});
  // Flags of a token that tokenizer.json lists are replaced.
  CHECK(with_config(decoder({{"1865", with(tool, {{"content", "<|endoftext|>"}, {"lstrip", true}, {"rstrip", true}})}}),
                    "a <|endoftext|> b") == ids{97, 1865, 98});
}

TEST_CASE("an added token whose stated id is not the next one is refused") {
  const auto refused = [](const json& tokens) {
    return small_gpt2({{"tokenizer_config.json", {{"added_tokens_decoder", tokens}}}}).refused(error_kind::bad_file);
  };
  CHECK_THAT(refused({{"1900", tool}}), ContainsSubstring("tokenizer_config.json': the added token \"<tool>\" has the "
                                                          "id 1900, but the next one after the vocabulary"));
  CHECK_THAT(refused({{"1867", tool}}), ContainsSubstring("is 1866, which tokenizers would give it"));
  CHECK_THAT(refused({{"1866", with(tool, {{"content", "ab"}})}}),
             ContainsSubstring("in the vocabulary it has the id"));
  const small_gpt2 gap({}, [](json& root) { root["added_tokens"].push_back(with(tool, {{"id", 1870}})); });
  CHECK_THAT(gap.refused(error_kind::bad_file), ContainsSubstring("tokenizer.json': the added token \"<tool>\""));
}

TEST_CASE("named tokens are special tokens, new ones after the vocabulary") {
  CHECK(with_config({{"pad_token", "[PAD]"}}, "x[PAD]y") == ids{120, 1866, 121});
  CHECK(with_config({{"eos_token", "</s>"}}, "a</s>") == ids{97, 1866});
  const json stripping = {{"__type", "AddedToken"}, {"content", "[PAD]"}, {"lstrip", true}, {"normalized", false}};
  CHECK(with_config({{"pad_token", stripping}}, "a [PAD] b") == ids{97, 1866, 360});
  for (const auto key : {"extra_special_tokens", "additional_special_tokens"})
    CHECK(with_config({{key, {"<q>", "<r>"}}}, "<q><r>") == ids{1866, 1867});
  CHECK(with_config({{"extra_special_tokens", {{"image_token", "<q>"}}}}, "<q>z") == ids{1866, 122});
  CHECK(with_config({{"image_token", "<q>"}}, "<q>z") == ids{1866, 122});
  CHECK(with_config({{"pad_token", nullptr}, {"unk_token", "<|endoftext|>"}}, "a<|endoftext|>b") == ids{97, 1865, 98});
}

TEST_CASE("a named token that is there already keeps its flags") {
  const json stripping = {{"content", "<|endoftext|>"}, {"lstrip", true}, {"rstrip", true}, {"normalized", false}};
  CHECK(small_gpt2({{"special_tokens_map.json", {{"eos_token", stripping}}}}).encode("a <|endoftext|> b") ==
        ids{97, 32, 1865, 360});
  CHECK(with_config({{"eos_token", with(stripping, {{"__type", "AddedToken"}})}}, "a <|endoftext|> b") ==
        ids{97, 32, 1865, 360});
  CHECK(with_config({{"extra_special_tokens", {"<|endoftext|>"}}}, "a <|endoftext|> b") == ids{97, 32, 1865, 360});
  const small_gpt2 listed({{"tokenizer_config.json", {{"extra_special_tokens", {"<tool>"}}}}}, [](json& root) {
    root["added_tokens"].push_back(with(tool, {{"id", 1866}, {"lstrip", true}}));
  });
  CHECK(listed.encode("x  <tool>y") == ids{120, 1866, 121});
}

TEST_CASE("lists of special tokens in two places") {
  const json map = {{"additional_special_tokens", {"<r>"}}};
  for (const auto key : {"extra_special_tokens", "additional_special_tokens"})
    CHECK(
        small_gpt2({{"tokenizer_config.json", {{key, {"<q>"}}}}, {"special_tokens_map.json", map}}).encode("<q><r>") ==
        ids{1866, 60, 114, 62});
  CHECK(with_config({{"extra_special_tokens", {{"image", "<q>"}}}, {"additional_special_tokens", {"<r>"}}}, "<q><r>") ==
        ids{1866, 1867});
  CHECK(with_config({{"extra_special_tokens", json::array()}, {"additional_special_tokens", {"<r>"}}}, "<r>") ==
        ids{1866});
  const json more = {{"extra_special_tokens", {"<r>"}}};
  CHECK(small_gpt2({{"tokenizer_config.json", {{"extra_special_tokens", {"<q>"}}}}, {"special_tokens_map.json", more}})
            .encode("<q><r>") == ids{1866, 1867});
}

TEST_CASE("named tokens are special, extra ones as they say") {
  const json plain = {{"__type", "AddedToken"}, {"content", "[PAD]"}, {"special", false}};
  CHECK(with_config({{"pad_token", plain}, {"split_special_tokens", true}}, "x[PAD]") == ids{120, 91, 80, 65, 68, 93});
  CHECK(with_config({{"extra_special_tokens", {plain}}, {"split_special_tokens", true}}, "x[PAD]") == ids{120, 1866});
}

TEST_CASE("the tokens that a class has by default are added before later ones") {
  const auto without_end = [](json& root) {
    auto& vocabulary = root["model"]["vocab"];
    vocabulary["</s>"] = vocabulary["<|endoftext|>"];
    vocabulary.erase("<|endoftext|>");
    root["added_tokens"] = json::array();
  };
  const json pad = {{"pad_token", "[PAD]"}};
  CHECK(small_gpt2({{"tokenizer_config.json", pad}}, without_end).encode("a<|endoftext|>[PAD]") == ids{97, 1866, 1867});
  CHECK(
      small_gpt2({{"tokenizer_config.json", with(pad, {{"tokenizer_class", "PreTrainedTokenizerFast"}})}}, without_end)
          .encode("a[PAD]") == ids{97, 1866});
  // Alone, a tokenizer.json is read as tokenizers reads it.
  CHECK(small_gpt2({}, without_end).encode("a<|endoftext|>").size() > 2);
}

TEST_CASE("the class that reads a vocabulary is that of tokenizer_config.json, else of config.json") {
  auto root = io::read_json_file(fs::path(TRIMTAB_SOURCE_DIR) / "examples/models/tiny-gpt2/tokenizer.json");
  std::string merges;
  for (const auto& merge : root["model"]["merges"])
    merges += (merge.is_string() ? merge.get<std::string>()
                                 : merge[0].get<std::string>() + " " + merge[1].get<std::string>()) +
              "\n";
  const temporary_folder folder;
  folder.file("vocab.json", root["model"]["vocab"].dump());
  folder.file("merges.txt", merges);
  const auto with_class = [&](const std::string& file, const json& content) {
    folder.file(file, content.dump());
    return io::read_tokenizer(folder.path()).encode("cafe\u0301");
  };
  const ids as_written = {99, 97, 102, 101, 204, 129}, composed = {99, 97, 102, 475};
  CHECK(with_class("config.json", {{"model_type", "gpt2"}}) == as_written);
  CHECK(with_class("config.json", {{"tokenizer_class", "GPTNeoXTokenizer"}}) == composed);
  CHECK(with_class("tokenizer_config.json", {{"tokenizer_class", "GPT2TokenizerFast"}}) == as_written);
  for (const auto other : {"RobertaTokenizer", "Qwen2Tokenizer", "PreTrainedTokenizerFast", "GPTSw3Tokenizer"})
    CHECK_THAT(refusal(error_kind::bad_config,
                       [&] {
                         with_class("tokenizer_config.json", {{"tokenizer_class", other}});
                       }),
               ContainsSubstring("vocab.json' is the vocabulary of a \""));
}

TEST_CASE("special_tokens_map.json and added_tokens.json count where there is no added_tokens_decoder") {
  CHECK(small_gpt2({{"special_tokens_map.json", {{"pad_token", "[PAD]"}}}}).encode("x[PAD]y") == ids{120, 1866, 121});
  CHECK(small_gpt2({{"special_tokens_map.json", {{"pad_token", {{"content", "[PAD]"}, {"lstrip", true}}}}}})
            .encode("x  [PAD] y") == ids{120, 1866, 32, 121});
  CHECK(small_gpt2({{"special_tokens_map.json", {{"additional_special_tokens", {"<q>"}}}}}).encode("<q>z") ==
        ids{1866, 122});
  CHECK(small_gpt2({{"added_tokens.json", {{"<tool>", 1866}}}}).encode("x<tool>y") == ids{120, 1866, 121});
  CHECK(small_gpt2({{"special_tokens_map.json", {{"pad_token", "[PAD]"}}},
                    {"tokenizer_config.json", {{"added_tokens_decoder", {{"1866", tool}}}}}})
            .encode("x[PAD]y<tool>") == ids{120, 91, 80, 65, 68, 93, 121, 1866});
}

TEST_CASE("new special tokens in an object have no order, so two of them are refused") {
  const json two = {{"extra_special_tokens", {{"a_token", "<q>"}, {"b_token", "<r>"}}}};
  CHECK_THAT(small_gpt2({{"tokenizer_config.json", two}}).refused(error_kind::bad_config),
             ContainsSubstring("the new special tokens \"<q>\" and \"<r>\" in an object"));
  const json known = {{"extra_special_tokens", {{"a_token", "<|endoftext|>"}, {"b_token", "<r>"}}}};
  CHECK(with_config(known, "<r>") == ids{1866});
}

TEST_CASE("special tokens can be told to be ordinary text") {
  const ids pieces = {97, 60, 124, 285, 100, 266, 431, 120, 116, 124, 62};
  CHECK(small_gpt2().encode("a<|endoftext|>") == ids{97, 1865});
  CHECK(with_config({{"split_special_tokens", true}}, "a<|endoftext|>") == pieces);
  CHECK(small_gpt2().open({.plain_text = true}).tokenizer.encode("a<|endoftext|>") == pieces);
}

TEST_CASE("a template says what stands before and after a text") {
  const auto processor = [](json part) { return [=](json& root) { root["post_processor"] = part; }; };
  const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}};
  const json sequence = {{"type", "Sequence"}, {"processors", {byte_level, template_of(false)}}};
  const ids text = {116, 258, 270};
  CHECK(small_gpt2({}, processor(template_of(false))).encode("the capital") == ids{1865, 116, 258, 270});
  CHECK(small_gpt2({}, processor(template_of(false))).encode("") == ids{1865});
  CHECK(small_gpt2({}, processor(sequence)).encode("the capital") == ids{1865, 116, 258, 270});
  const auto both = small_gpt2({}, processor(template_of(true))).open().tokenizer;
  CHECK(both.encode_prompt("the capital") == ids{1865, 116, 258, 270});
  CHECK(both.after() == ids{1865});
  CHECK(both.encode("the capital") == text);

  const auto refused = [&](const json& part) { return small_gpt2({}, processor(part)).refused(error_kind::bad_file); };
  auto changed = template_of(false);
  changed["single"].push_back(changed["single"][1]);
  CHECK_THAT(refused(changed), ContainsSubstring("a template with one sequence, \"A\""));
  changed["single"] = json::array();
  CHECK_THAT(refused(changed), ContainsSubstring("a template with one sequence, \"A\""));
  changed["single"] = "$A";
  CHECK_THAT(refused(changed), ContainsSubstring("\"single\" of the post-processor should be a list, found \"$A\""));
  changed = template_of(false);
  changed["special_tokens"] = json::object();
  CHECK_THAT(refused(changed), ContainsSubstring("\"ids\" of \"<|endoftext|>\" in the post-processor"));
  changed = template_of(false);
  changed["special_tokens"]["<|endoftext|>"]["ids"] = {1866};
  CHECK_THAT(refused(changed), ContainsSubstring("the id 1866, which stands before or after every text, has no token"));
  CHECK_THAT(small_gpt2({}, processor({{"type", "RobertaProcessing"}})).refused(error_kind::bad_config),
             ContainsSubstring("the post-processor {\"type\":\"RobertaProcessing\"} is not supported"));
}

TEST_CASE("the caller chooses whether prompts begin with the BOS token") {
  const auto begin = [](const small_gpt2& folder, begin_with_bos bos) {
    return folder.open({.bos = bos}).tokenizer.encode_prompt("the capital");
  };
  const ids text = {116, 258, 270}, with_bos = {1865, 116, 258, 270};
  const small_gpt2 plain, templated({}, [](json&root) { root["post_processor"] = template_of(false); });
  CHECK(begin(plain, begin_with_bos::as_the_folder_says) == text);
  CHECK(begin(plain, begin_with_bos::always) == with_bos);
  CHECK(begin(templated, begin_with_bos::never) == text);
  CHECK(begin(templated, begin_with_bos::always) == with_bos);
  const small_gpt2 none({{"tokenizer_config.json", {{"bos_token", nullptr}}}});
  CHECK_THAT(none.refused(error_kind::bad_argument, {.bos = begin_with_bos::always}),
             ContainsSubstring("prompts cannot begin with a BOS token"));
}

TEST_CASE("add_bos_token beside a tokenizer.json is not used, and a warning says so") {
  const small_gpt2 folder({{"tokenizer_config.json", {{"add_bos_token", true}, {"add_eos_token", false}}}});
  CHECK(folder.encode("the capital") == ids{116, 258, 270});
  REQUIRE(folder.open().warnings.size() == 1);
  CHECK_THAT(folder.open().warnings.front(),
             ContainsSubstring("\"add_bos_token\" of '") and ContainsSubstring("is not used, because"));
}

TEST_CASE("limits on length are told and not applied") {
  const auto stored = small_gpt2({}, [](json& root) {
                        root["truncation"] = {{"max_length", 1}, {"strategy", "LongestFirst"}, {"stride", 0}};
                        root["padding"] = nullptr;
                      }).open();
  CHECK(stored.not_applied == std::vector<std::string>{"truncation"});
  const small_gpt2 voided(
      {{"tokenizer_config.json", {{"added_tokens_decoder", json::object()}, {"pad_token", "[PAD]"}}},
       {"added_tokens.json", {{"<tool>", 1866}}}});
  CHECK(voided.open().files == std::vector<std::string>{"tokenizer_config.json"});
  CHECK(voided.open().not_applied == std::vector<std::string>{"added_tokens.json"});
  CHECK(voided.open().config.not_used.empty());
  CHECK(stored.tokenizer.encode("the capital") == ids{116, 258, 270});
}

TEST_CASE("add_prefix_space beside a tokenizer.json counts") {
  CHECK(with_config({{"add_prefix_space", true}}, "the capital") == ids{272, 270});
  CHECK(with_config({{"add_prefix_space", true}}, "the<|endoftext|>the") == ids{272, 1865, 272});
  const small_gpt2 other(
      {{"tokenizer_config.json", {{"add_prefix_space", true}, {"tokenizer_class", "PreTrainedTokenizerFast"}}}});
  CHECK(other.encode("the capital") == ids{116, 258, 270});
  REQUIRE(other.open().warnings.size() == 1);
  CHECK_THAT(other.open().warnings.front(), ContainsSubstring("is not used, because a \"PreTrainedTokenizer\" takes"));
}

TEST_CASE("the ids of named tokens are known") {
  const auto named =
      small_gpt2({{"tokenizer_config.json", {{"eos_token", "</s>"}, {"bos_token", nullptr}}}}).open().named;
  CHECK(named.at("eos_token") == 1866);
  CHECK(named.at("unk_token") == 1865);  // by the default of GPT2Tokenizer
  CHECK(not named.contains("bos_token"));
}

TEST_CASE("what is no token is refused by its key") {
  const auto refused = [](const json& config, error_kind kind = error_kind::bad_config) {
    return small_gpt2({{"tokenizer_config.json", config}}).refused(kind);
  };
  CHECK_THAT(refused(nullptr), ContainsSubstring("tokenizer_config.json' should hold a JSON object, found null"));
  CHECK_THAT(refused({{"eos_token", 3}}), ContainsSubstring("tokenizer_config.json': \"eos_token\" should be a token"));
  CHECK_THAT(refused({{"extra_special_tokens", "<q>"}}),
             ContainsSubstring("should be a list of tokens, found \"<q>\""));
  CHECK_THAT(refused({{"extra_special_tokens", {1}}}, error_kind::bad_file),
             ContainsSubstring("\"content\" of an added token should be a string"));
  CHECK_THAT(refused({{"split_special_tokens", "no"}}),
             ContainsSubstring("\"split_special_tokens\" should be true or"));
  CHECK_THAT(refused({{"added_tokens_decoder", {{"x", tool}}}}), ContainsSubstring("the key \"x\" of"));
  CHECK_THAT(refused({{"added_tokens_decoder", {{"1866", "<tool>"}}}}),
             ContainsSubstring("an object with the token's"));
  CHECK_THAT(small_gpt2({{"added_tokens.json", {{"<tool>", "1866"}}}}).refused(error_kind::bad_file),
             ContainsSubstring("added_tokens.json': the id of the token \"<tool>\""));
  CHECK_THAT(small_gpt2({{"added_tokens.json", {{"<tool>", 1867}}}}).refused(error_kind::bad_file),
             ContainsSubstring("added_tokens.json': the added token \"<tool>\" has the id 1867"));
}

TEST_CASE("GPT-2's vocab.json and merges.txt take what stands beside them") {
  const auto folder = test::asset("tokenizers/gpt2");
  if (not folder) {
    WARN(test::missing_asset("tokenizers/gpt2"));
    return;
  }
  const auto encode = [&](const std::string& name, const json& content, const std::string& text) {
    return pair_of_files(*folder, {{name, content}}).encode(text);
  };
  const auto config = "tokenizer_config.json";
  CHECK(encode(config, {{"added_tokens_decoder", {{"50257", tool}}}}, "x<tool>y") == ids{87, 50257, 88});
  CHECK(encode(config, {{"pad_token", "[PAD]"}}, "x [PAD] y") == ids{87, 220, 50257, 331});
  CHECK(encode("added_tokens.json", {{"<tool>", 50257}}, "x<tool>y") == ids{87, 50257, 88});
  CHECK(encode("added_tokens.json", {{"<b>", 50258}, {"<a>", 50257}}, "<a><b>") == ids{50257, 50258});
  CHECK(encode("added_tokens.json", json::object(), "x<tool>y") == ids{87, 27, 25981, 29, 88});
  CHECK(encode("added_tokens.json", {{"<|endoftext|>", 50256}}, "x<|endoftext|>y") == ids{87, 50256, 88});
  CHECK(encode(config, {{"split_special_tokens", true}}, "a<|endoftext|>") == ids{64, 27, 91, 437, 1659, 5239, 91, 29});
  CHECK(encode(config, {{"add_bos_token", true}}, "the capital") == ids{50256, 1169, 3139});
  CHECK(encode(config, {{"add_bos_token", true}, {"bos_token", nullptr}}, "the capital") == ids{1169, 3139});
  CHECK(encode(config, {{"add_bos_token", true}, {"add_eos_token", true}, {"eos_token", "</s>"}}, "the capital") ==
        ids{50256, 1169, 3139, 50257});
  CHECK(encode(config, {{"add_prefix_space", true}}, "the capital") == ids{262, 3139});
  CHECK(encode(config, {{"tokenizer_class", "GPTNeoXTokenizer"}}, "cafe\u0301") == ids{66, 1878, 2634});
}

TEST_CASE("GPT-NeoX's vocab.json and merges.txt are read as GPTNeoXTokenizer reads them") {
  const auto file = test::asset("tokenizers/gpt-neox/20B_tokenizer.json");
  if (not file) {
    WARN(test::missing_asset("tokenizers/gpt-neox/20B_tokenizer.json"));
    return;
  }
  const pair_of_files folder(*file, {{"config.json", {{"model_type", "gpt_neox"}}}});
  CHECK(folder.encode("cafe\u0301") == ids{68, 2320, 860});
  CHECK(folder.encode("a<|padding|>b") == ids{66, 1, 67});
  CHECK(folder.encode("a<|endoftext|>b") == ids{66, 0, 67});
  const json gpt2 = {{"tokenizer_class", "GPT2Tokenizer"}};
  CHECK(pair_of_files(*file, {{"config.json", {{"model_type", "gpt_neox"}}}, {"tokenizer_config.json", gpt2}})
            .encode("cafe\u0301") == ids{6357, 453, 136, 212});
}

TEST_CASE("an added token that strips leaves white space to the tokens that are runs of it") {
  const auto file = test::asset("tokenizers/gpt-neox/20B_tokenizer.json");
  if (not file) {
    WARN(test::missing_asset("tokenizers/gpt-neox/20B_tokenizer.json"));
    return;
  }
  const temporary_folder folder;
  auto root = io::read_json_file(*file);
  root["added_tokens"].push_back(with(tool, {{"id", 50277}, {"content", "<sep>"}, {"rstrip", true}}));
  folder.file("tokenizer.json", root.dump());
  const auto tokenizer = io::read_tokenizer(folder.path());
  CHECK(tokenizer.encode("x<sep>  y") == ids{89, 50277, 50276, 90});
  CHECK(tokenizer.encode("<sep>    <sep>   z") == ids{50277, 50274, 50277, 50275, 91});
}

}  // namespace trimtab::test::tokenizer_config_tests
