// SPDX-License-Identifier: Apache-2.0

#include "bad_input.hpp"

namespace trimtab::test::bad_tokenizer_tests {

namespace {

struct change_row {
  std::function<void(io::json&)> change;
  std::string sentence;
};

}  // namespace

TEST_CASE("Bad tokenizer.json") {
  const model_for_cli model;
  const auto file = model.name("tokenizer.json");
  const std::vector<std::string> tokenize = {"tokenize", "--model", model.path()};
  check_accepted(tokenize, "\"ab\"\n");
  const auto good = io::json::parse(content_of(file));
  const auto vocab = [](auto&& change) { return [=](io::json& t) { change(t["model"]["vocab"]); }; };
  const auto merges = [](const io::json& list) { return [=](io::json& t) { t["model"]["merges"] = list; }; };
  const auto merge = [](const io::json& one) { return [=](io::json& t) { t["model"]["merges"].push_back(one); }; };
  const auto model_entry = [](const std::string& key, const io::json& value) {
    return [=](io::json& t) { t["model"][key] = value; };
  };
  const auto entry = [](const std::string& key, const io::json& value) { return [=](io::json& t) { t[key] = value; }; };
  const auto added = [](const io::json& one) { return [=](io::json& t) { t["added_tokens"].push_back(one); }; };

  const std::vector<change_row> table = {
      {[](io::json& t) { t = io::json::array(); }, "the file should be an object, found []"},
      {[](io::json& t) { t.erase("model"); }, "\"model\" should be an object, found null"},
      {entry("model", {1}), "\"model\" should be an object, found [1]"},
      {model_entry("type", "WordPiece"), "the model type \"WordPiece\" is not supported, only \"BPE\" is"},
      {model_entry("type", "Unigram"), "the model type \"Unigram\" is not supported, only \"BPE\" is"},
      {model_entry("vocab", {"a", "b"}), "model.vocab should be an object of tokens and ids, found [\"a\",\"b\"]"},
      {model_entry("vocab", nullptr), "model.vocab should be an object of tokens and ids, found null"},
      {vocab([](io::json& v) { v["a"] = -1; }), "the id of the token \"a\" should be a whole number from 0 to"},
      {vocab([](io::json& v) { v["a"] = 97.0; }), "the id of the token \"a\" should be a whole number from 0 to"},
      {vocab([](io::json& v) { v["a"] = "97"; }), "the id of the token \"a\" should be a whole number from 0 to"},
      {vocab([](io::json& v) { v["a"] = nullptr; }), "the id of the token \"a\" should be a whole number from 0 to"},
      {vocab([](io::json& v) { v["a"] = 1'000'000; }), "a whole number from 0 to 999999, found 1000000"},
      {vocab([](io::json& v) { v["a"] = 18446744073709551615u; }), "a whole number from 0 to 999999, found 1844674"},
      {vocab([](io::json& v) { v["a"] = 98; }), "has the id 98, which \"a\" has already"},
      {vocab([](io::json& v) { v.erase("c"), v["zz"] = 98; }),
       "the token \"zz\" has the id 98, which \"b\" has already"},
      {vocab([](io::json& v) { v.erase("c"), v[""] = 259; }), "the token with the id 259 is empty"},
      {vocab([](io::json& v) { v.erase("a"), v["zz"] = 300; }), "the vocabulary lacks the symbol \"a\" of the byte 97"},
      {vocab([](io::json& v) { v.erase("Ġ"), v["zz"] = 300; }), "the vocabulary lacks the symbol \"Ġ\" of the byte 32"},
      {[](io::json& t) { t["model"]["vocab"] = io::json::object(), t.erase("added_tokens"); }, "lacks the symbol"},
      {merges(nullptr), "model.merges should be a list, found null"},
      {merges({{"a", "b"}, 7}), "merge 2 should be two tokens, found 7"},
      {merges({{"a", {"b"}}}), "model.merges should be a list, found {\"a\":[\"b\"]}"},
      {merge("ab"), "merge 3 should be two tokens with a space between them, found \"ab\""},
      {merge("a b c"), "merge 3 should be two tokens with a space between them, found \"a b c\""},
      {merge(""), "merge 3 should be two tokens with a space between them, found \"\""},
      {merge(" b"), "merge 3 should be two tokens with a space between them, found \" b\""},
      {merge({"a", "b"}), "merge 3 should be a string, as the first one is, found [\"a\",\"b\"]"},
      {merges({{"a", "b"}, "Ġ ab"}), "merge 2 should be a list, as the first one is, found \""},
      {merges({{"a", "b", "c"}, {"a", "b"}}), "merge 1 should be two tokens, found [\"a\",\"b\",\"c\"]"},
      {merges(io::json::array({{"a", 1}, {"a", "b"}})), "merge 1 should be two tokens, found [\"a\",1]"},
      {merges(io::json::array({{"", "a"}, {"a", "b"}})),
       "merge 1 (\"\" and \"a\") needs the token \"\", which is not in the voc"},
      {merge("a b"), "merge 3 (\"a\" and \"b\") is merge 1 again; remove one of them"},
      {entry("version", "2.0"), "the version \"2.0\" is not supported, only \"1.0\" is"},
      {entry("post_processor", {{"type", "BertProcessing"}}),
       "the post-processor {\"type\":\"BertProcessing\"} is not"},
      {merge("x yy"), "merge 3 (\"x\" and \"yy\") needs the token \"yy\", which is not in the vocabulary"},
      {merge("ab a"), "merge 3 (\"ab\" and \"a\") needs the token \"aba\", which is not in the vocabulary"},
      {model_entry("dropout", 0.1), "dropout 0.1 is not supported, only none is"},
      {model_entry("ignore_merges", true), "ignore_merges true is not supported, only false is"},
      {model_entry("ignore_merges", "x"), "\"ignore_merges\" of the model should be true or false, found \"x\""},
      {model_entry("continuing_subword_prefix", "##"), "continuing_subword_prefix \"##\" is not supported"},
      {model_entry("end_of_word_suffix", "</w>"), "end_of_word_suffix \"</w>\" is not supported, only none is"},
      {entry("normalizer", {{"type", "NFKC"}}), "the normalizer {\"type\":\"NFKC\"} is not supported, only \"NFC\" is"},
      {entry("normalizer", 3), "the normalizer 3 is not supported, only \"NFC\" is"},
      {entry("normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}}), "the normalizer {"},
      {entry("pre_tokenizer", nullptr), "the pre-tokenizer null is not supported, only \"ByteLevel\""},
      {entry("pre_tokenizer", {{"type", "Whitespace"}}),
       "the pre-tokenizer {\"type\":\"Whitespace\"} is not supported"},
      {entry("pre_tokenizer", {{"type", "ByteLevel"}, {"use_regex", false}}), "is not supported, only \"ByteLevel\""},
      {entry("pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", 1}}),
       "\"add_prefix_space\" of the pre-token"},
      {entry("added_tokens", {{"a", 1}}), "\"added_tokens\" should be a list, found {\"a\":1}"},
      {added(3), "\"content\" of an added token should be a string, found null"},
      {added({{"id", 260}}), "\"content\" of an added token should be a string, found null"},
      {added({{"id", 260}, {"content", 1}}), "\"content\" of an added token should be a string, found 1"},
      {added({{"id", 259}, {"content", std::string(1001, 'x')}}), "...\" has 1001 bytes; at most 1000 are supported"},
      {added({{"id", 259}, {"content", ""}}), "the token with the id 259 is empty"},
      {added({{"id", 260}, {"content", "<x>"}}), "the added token \"<x>\" has the id 260, but the next one after"},
      {added({{"id", -1}, {"content", "<x>"}}), "the id of the token \"<x>\" should be a whole number from 0"},
      {added({{"content", "<x>"}}), "the id of the token \"<x>\" should be a whole number from 0"},
      {added({{"id", 97}, {"content", "<x>"}}), "the added token \"<x>\" has the id 97, but the next one after"},
      {added({{"id", 97}, {"content", "b"}}),
       "the added token \"b\" has the id 97, but in the vocabulary it has the id 98"},
      {added({{"id", 260}, {"content", "<x>"}, {"special", "yes"}}), "\"special\" of \"<x>\" should be true or false"},
  };
  for (const auto& row : table) {
    auto changed = good;
    row.change(changed);
    const file_with bad(file, changed.dump());
    check_refused(tokenize, {file + "'", row.sentence}, "\"ab\"\n");
  }

  for (const auto& [content, sentence] : {std::pair<std::string, std::string>{"", "is not valid JSON: parse error"},
                                          {good.dump().substr(0, 1000), "is not valid JSON: parse error"},
                                          {"{\"model\": {}, \"model\": {}}", "the key \"model\" occurs twice"}}) {
    const file_with bad(file, content);
    check_refused(tokenize, {file + "'", sentence}, "\"ab\"\n");
    check_refused({"logits", "--model", model.path(), "--prompt", "ab"}, {file + "'", sentence});
  }

  for (const auto& [content, sentence] :
       {std::pair<std::string, std::string>{"{", "is not valid JSON"},
        {"[]", "should hold a JSON object, found []"},
        {"{\"add_prefix_space\": 1}", "\"add_prefix_space\" should be true or false, found 1"},
        {"{\"bos_token\": []}", "\"bos_token\" should be a token or null, found []"},
        {"{\"added_tokens_decoder\": {\"1\": 2}}", "\"content\" of an added token should be a string"}}) {
    const file_with bad(model.name("tokenizer_config.json"), content);
    check_refused(tokenize, {"tokenizer_config.json'", sentence}, "\"ab\"\n");
  }
  // A dangling link, as in a cache whose files were removed. If it were ignored, the ids could silently be others.
  for (const std::string name : {"tokenizer_config.json", "tokenizer.json"}) {
    std::filesystem::remove(model.name(name));
    std::filesystem::create_symlink("../../blobs/0", model.name(name));
    check_refused(tokenize, {"cannot open '" + model.name(name) + "': No such file"}, "\"ab\"\n");
    std::filesystem::remove(model.name(name));
    put_file(file, good.dump());
  }

  const std::vector<std::string> end_tokens = {"generate", "--model", model.path(), "--prompt", "ab"};
  const file_with generation(model.name("generation_config.json"), "{\"eos_token_id\": \"</s>\"}");
  check_refused(end_tokens,
                {"generation_config.json': \"eos_token_id\" should be a token id, a list of token ids or n"});
}

TEST_CASE("A token beyond the model's vocabulary is an error only where a prompt has it") {
  const model_for_cli model;  // of 300 tokens
  auto root = io::json::parse(content_of(model.name("tokenizer.json")));
  root["model"]["vocab"]["<e>"] = 258;
  root["model"]["vocab"]["xy"] = 300;
  root["model"]["merges"].push_back("x y");
  put_file(model.name("tokenizer.json"), root.dump());
  const auto with = [&](const std::string& command, const std::string& prompt) {
    return std::vector<std::string>{command, "--model", model.path(), "--prompt", prompt};
  };
  for (const std::string command : {"logits", "generate"}) {
    check_accepted(with(command, "ab"));
    check_refused(with(command, "axy"), {"token id 300 is outside the model's vocabulary of 300 tokens"});
  }
}

TEST_CASE("Bad vocab.json and merges.txt") {
  const model_for_cli model(false, false);
  const std::vector<std::string> tokenize = {"tokenize", "--model", model.path()};
  check_refused(tokenize, {model.path(), "holds no tokenizer: looked for 'tokenizer.json'"}, "\"a\"\n");

  const auto whole = small_tokenizer_json()["model"]["vocab"];
  const auto vocabulary = model.file("vocab.json", whole.dump());
  check_refused(tokenize, {model.path(), "holds no tokenizer"}, "\"a\"\n");
  const auto merges = model.file("merges.txt", "#version: 0.2\na b\nĠ ab\n");
  check_accepted(tokenize, "\"ab\"\n");

  const std::pair<std::string, std::string> bad_merges[] = {
      {"#version: 0.2\nab\n", "line 2 should be two tokens with a space between them, found \"ab\""},
      {"a b\na b c\n", "line 2 should be two tokens with a space between them, found \"a b c\""},
      {"a b\n b\n", "line 2 should be two tokens with a space between them, found \" b\""},
      {"a b\nb \n", "line 2 should be two tokens with a space between them, found \"b \""},
      {"a b\r\n# comment here\r\n", "line 2 should be two tokens with a space between them"},
      {"a b\na b\n", "merge 2 (\"a\" and \"b\") is merge 1 again"},
      {"a b\nx y\n", "merge 2 (\"x\" and \"y\") needs the token \"xy\", which is not in the vocabulary"},
      {"a b\n\xff\xfe x\n", "merge 2 ("},
  };
  for (const auto& [content, sentence] : bad_merges) {
    const file_with bad(merges, content);
    check_refused(tokenize, {"merges.txt'", sentence}, "\"a\"\n");
  }

  auto lacking = whole;
  lacking.erase("a");
  lacking["zz"] = 300;
  auto twice = whole;
  twice["zz"] = 98;
  const std::pair<std::string, std::string> bad_vocabularies[] = {
      {"[]", "the file should be an object of tokens and ids, found []"},
      {"{\"a\": 1, \"a\": 2}", "the key \"a\" occurs twice"},
      {"{\"a\": []}", "the id of the token \"a\" should be a whole number from 0 to 999999, found []"},
      {lacking.dump(), "the vocabulary lacks the symbol \"a\" of the byte 97"},
      {twice.dump(), "the token \"zz\" has the id 98, which \"b\" has already"},
  };
  for (const auto& [content, sentence] : bad_vocabularies) {
    const file_with bad(vocabulary, content);
    check_refused(tokenize, {"vocab.json'", sentence}, "\"a\"\n");
  }

  const file_with more(model.name("added_tokens.json"), "{\"<pad>\": 259}");
  check_refused(tokenize, {"the added token \"<pad>\" has the id 259, but the next one after"}, "\"a\"\n");
  std::filesystem::remove(model.name("added_tokens.json"));
  std::filesystem::remove(merges);
  std::filesystem::create_directory(merges);
  check_refused(tokenize, {"merges.txt' is a folder where a file was expected"}, "\"a\"\n");
}

TEST_CASE("Bad lines on standard input") {
  const model_for_cli model;
  const std::pair<std::string, std::string> table[] = {
      {"\"a\"\nbad\n", "'standard input, line 2' is not valid JSON"},
      {"\"a\"\n\n", "'standard input, line 2' is not valid JSON"},
      {"{}\n", "'standard input, line 1' should be a JSON string, found {}"},
      {"[\"a\"]\n", "'standard input, line 1' should be a JSON string, found [\"a\"]"},
      {"\"\xff\"\n", "'standard input, line 1' is not valid JSON"},
      {"\"\\ud800\"\n", "'standard input, line 1' is not valid JSON"},
      {"\"a\" \"b\"\n", "'standard input, line 1' is not valid JSON"},
      {std::string("\"\0\"\n", 4), "'standard input, line 1' is not valid JSON: byte 1 is NUL"},
  };
  for (const auto& [input, sentence] : table) check_refused({"tokenize", "--model", model.path()}, {sentence}, input);
}

TEST_CASE("A standard input that cannot be read, or has a line without end") {
  const model_for_cli model;
  const auto tokenize = std::string(TRIMTAB_PROGRAM) + " tokenize --model " + model.path();
  check_shell(tokenize + " </", "cannot read 'standard input': Is a directory");
  check_shell(tokenize + " <&-", "cannot read 'standard input': Bad file descriptor");
  check_shell(tokenize + " </dev/zero", "'standard input, line 1' is not valid JSON: it has");
  const auto long_line = "\"" + std::string(200'000, 'c') + "\"";
  const auto run = run_trimtab({"tokenize", "--model", model.path()}, long_line + "\n\"ab\"");
  CHECK(run.status == 0);
  CHECK(run.out.ends_with(",99,99]\n[256]\n"));
  CHECK(run.out.size() == 3 * 200'000 + 1 + 1 + 6);
}

}  // namespace trimtab::test::bad_tokenizer_tests
