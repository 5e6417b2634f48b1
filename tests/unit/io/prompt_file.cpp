// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/prompt_file.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"
#include "support/word_tokenizer.hpp"

namespace trimtab::test::prompt_file_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

std::string refused(std::string_view content, error_kind kind = error_kind::bad_data) {
  const auto folder = temporary_folder();
  const auto encoder = word_tokenizer(6);
  return refusal(
      kind, [&] { io::read_prompts(folder.file("data.jsonl", content), encoder, {.vocabulary = 50, .context = 5}); });
}

}  // namespace

TEST_CASE("Lines of text and of ids become prompt pairs") {
  const auto folder = temporary_folder();
  const auto encoder = word_tokenizer();
  const auto path =
      folder.file("data.jsonl",
                  "\xef\xbb\xbf\r\n{\"prompt\": \"Rome is in\", \"correct\": \" Italy\", \"wrong\": \" Spain\", "
                  "\"roles\": {\"city\": [0, 1]}}\r\n"
                  "\r\n  \n"
                  "{\"ids\": [2, 0, 1], \"correct_id\": 4, \"wrong_id\": 3, \"note\": \"any\"}");
  const auto pairs = io::read_prompts(path, encoder);
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[0].prompt == "Rome is in");
  CHECK(pairs[0].ids == encoder.encode("Rome is in"));
  CHECK(pairs[0].correct_id == encoder.encode(" Italy").front());
  CHECK(pairs[0].wrong_id == encoder.encode(" Spain").front());
  CHECK(pairs[0].roles.at("city") == token_span{0, 1});
  CHECK(pairs[1].ids == std::vector{2, 0, 1});
  CHECK(pairs[1].correct_id == 4);
  CHECK(pairs[1].wrong_id == 3);
}

TEST_CASE("Several tokens may count as one answer") {
  const auto folder = temporary_folder();
  const auto encoder = word_tokenizer();
  const auto path =
      folder.file("sets.jsonl",
                  "{\"prompt\": \"Rome is in\", \"correct\": [\" Italy\", \" Rome\"], \"wrong\": [\" Spain\"]}\n"
                  "{\"ids\": [2, 0], \"correct_id\": 4, \"wrong_ids\": [3, 1]}");
  const auto pairs = io::read_prompts(path, encoder);
  REQUIRE(pairs.size() == 2);
  const auto id = [&](const char* text) { return encoder.encode(text).front(); };
  CHECK(pairs[0].all_correct == answer_set{{id(" Italy"), id(" Rome")}, {" Italy", " Rome"}});
  CHECK(pairs[0].correct_id == id(" Italy"));
  CHECK(pairs[0].correct == " Italy");
  CHECK(pairs[0].all_wrong == answer_set{});  // a list of one is one
  CHECK(pairs[0].wrong_id == id(" Spain"));
  CHECK(pairs[1].all_wrong.ids == std::vector{3, 1});
  CHECK(pairs[1].correct_ids().size() == 1);
  CHECK(pairs[1].wrong_ids().size() == 2);
  io::write_prompts(folder.path() / "again.jsonl", pairs);
  CHECK(io::read_prompts(folder.path() / "again.jsonl", encoder) == pairs);

  CHECK_THAT(refused("{\"ids\": [2], \"correct_ids\": [4, 3], \"wrong_id\": 3}"),
             ContainsSubstring("has one token twice among its answers"));
  CHECK_THAT(refused("{\"ids\": [2], \"correct_ids\": [], \"wrong_id\": 3}"),
             ContainsSubstring("has no token in \"correct_ids\""));
  CHECK_THAT(refused("{\"prompt\": \"Rome is in\", \"correct\": [1], \"wrong\": \" Spain\"}"),
             ContainsSubstring("a text or an array of texts"));
}

TEST_CASE("An answer may be a sequence of tokens") {
  const auto folder = temporary_folder();
  const auto encoder = word_tokenizer();
  const auto path = folder.file(
      "sequences.jsonl",
      "{\"prompt\": \"Rome is in\", \"correct\": \" Italy is\", \"wrong\": \" Spain\", \"answer\": \"sequence\"}\n"
      "{\"ids\": [2, 0], \"correct_ids\": [4], \"wrong_ids\": [4, 1, 3], \"answer\": \"sequence\"}");
  const auto pairs = io::read_prompts(path, encoder);
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[0].correct_id == encoder.encode(" Italy").front());
  CHECK(pairs[0].correct_rest == encoder.encode(" is"));
  CHECK(pairs[0].wrong_rest.empty());
  CHECK(pairs[1].correct_id == pairs[1].wrong_id);
  CHECK(pairs[1].wrong_rest == std::vector{1, 3});
  io::write_prompts(folder.path() / "again.jsonl", pairs);
  CHECK(io::read_prompts(folder.path() / "again.jsonl", encoder) == pairs);

  const std::string sequence = ", \"answer\": \"sequence\"}";
  CHECK_THAT(refused("{\"ids\": [2], \"correct_ids\": [4, 3], \"wrong_ids\": [4, 3]" + sequence),
             ContainsSubstring("has the same tokens as correct and as wrong answer"));
  CHECK_THAT(refused("{\"ids\": [2, 1, 3], \"correct_ids\": [4, 3, 2, 1], \"wrong_ids\": [4]" + sequence),
             ContainsSubstring("has a prompt and an answer of 7 tokens"));
  CHECK_THAT(refused("{\"ids\": [2], \"correct_id\": 4, \"wrong_id\": 3, \"answer\": \"all\"}"),
             ContainsSubstring("\"token\" or \"sequence\""));
}

TEST_CASE("Prompts to continue are strings, or objects whose answers may be missing") {
  const auto folder = temporary_folder();
  const auto encoder = word_tokenizer();
  const auto texts = io::read_texts(folder.file("texts.jsonl",
                                                "\"Rome is in\"\n\n"
                                                "{\"prompt\": \"Rome is in\", \"roles\": {\"city\": [0, 1]}}\n"
                                                "{\"ids\": [2, 0, 1]}\n"
                                                "{\"ids\": [4], \"correct_id\": 9, \"wrong_id\": 9}\n"),
                                    encoder);
  REQUIRE(texts.size() == 4);
  CHECK(texts[0].prompt == "Rome is in");
  CHECK(texts[0].ids == encoder.encode("Rome is in"));
  CHECK(texts[1].ids == texts[0].ids);
  CHECK(texts[1].roles.at("city") == token_span{0, 1});
  CHECK(texts[2].ids == std::vector{2, 0, 1});
  CHECK(texts[3].ids == std::vector{4});
  const auto answered = [&](std::string_view line) {
    return io::read_texts(folder.file("answers.jsonl", line), encoder, {.answers = true}).front();
  };
  CHECK(answered("{\"ids\": [4], \"correct_id\": 3, \"wrong_ids\": [1, 2]}") ==
        prompt_pair{.ids = {4}, .correct_id = 3, .wrong_id = 1, .all_wrong = {{1, 2}, {}}});
  CHECK(answered("{\"ids\": [4], \"correct_id\": 3}") == prompt_pair{.ids = {4}});  // one alone tells nothing apart
  CHECK(answered("{\"ids\": [4], \"correct\": \" Italy\", \"wrong\": \" France\"}") == prompt_pair{.ids = {4}});
  CHECK_THAT(refusal(error_kind::bad_data, [&] { answered("{\"ids\": [4], \"correct_id\": 3, \"wrong_id\": 3}"); }),
             ContainsSubstring("has the same token as correct and as wrong answer"));
  const auto refused_text = [&](std::string_view content, error_kind kind = error_kind::bad_data) {
    return refusal(kind, [&] { io::read_texts(folder.file("bad.jsonl", content), encoder, {.context = 5}); });
  };
  CHECK_THAT(refused_text("\"Rome\"\n7\n"), ContainsSubstring("bad.jsonl, line 2' should hold a JSON object, found 7"));
  CHECK_THAT(refused_text("{\"correct\": \" Italy\"}\n"), ContainsSubstring("\"prompt\""));
  CHECK_THAT(refused_text("\"\"\n"), ContainsSubstring("line 1' has an empty prompt"));
  CHECK_THAT(refused_text("{\"ids\": [1, 1, 1, 1, 1, 1]}\n"), ContainsSubstring("a prompt of 6 tokens"));
  CHECK_THAT(refused_text("\n"), ContainsSubstring("holds no prompts; expected one JSON string or object per line"));
}

TEST_CASE("What is written reads back as it was") {
  const auto folder = temporary_folder();
  const auto encoder = word_tokenizer();
  const auto text = prompt_pair{.prompt = "Rome is in",
                                .ids = encoder.encode("Rome is in"),
                                .correct_id = encoder.encode(" Italy").front(),
                                .wrong_id = encoder.encode(" Spain").front(),
                                .correct = " Italy",
                                .wrong = " Spain",
                                .roles = {{"city", {0, 1}}, {"end", {2, 3}}},
                                .corrupt = "Oslo is in",
                                .corrupt_ids = encoder.encode("Oslo is in")};
  const auto ids = prompt_pair{.ids = {1, 0},
                               .correct_id = 2,
                               .wrong_id = 1,
                               .tokens = {{"none", {}}, {"rivals", {0, 2}}},
                               .numbers = {{"half", 0.5}, {"third", 1.0 / 3}},
                               .corrupt_ids = {0, 0}};
  const std::vector pairs = {text, ids};
  io::write_prompts(folder.path() / "out.jsonl", pairs);
  CHECK(io::read_prompts(folder.path() / "out.jsonl", encoder) == pairs);
}

TEST_CASE("An answer of very many tokens still gets a short sentence") {
  const auto sentence =
      refused("{\"prompt\": \"a\", \"wrong\": \" c\", \"correct\": \"" + std::string(5000, '.') + "\"}");
  CHECK_THAT(sentence, ContainsSubstring("which is 5000 tokens (\".\", \".\", \".\", \".\", \".\", ...)"));
  CHECK(sentence.size() < 400);
}

TEST_CASE("A line that is no prompt pair is refused by file, line and key") {
  CHECK_THAT(refused("\n{\"prompt\": \"a\", \"correct\": \" b\"}"),
             ContainsSubstring("data.jsonl, line 2' lacks \"wrong\""));
  CHECK_THAT(refused("[1]"), ContainsSubstring("line 1' should hold a JSON object"));
  CHECK_THAT(refused("{\"prompt\": 3, \"correct\": \" b\", \"wrong\": \" c\"}"),
             ContainsSubstring("\"prompt\" should be a string"));
  CHECK_THAT(refused("{\"ids\": [1, -2], \"correct_id\": 1, \"wrong_id\": 2}"),
             ContainsSubstring("\"ids\" should be an array of token ids"));
  CHECK_THAT(refused("{\"ids\": [1], \"correct_id\": 1}"), ContainsSubstring("\"wrong_id\" should be a token id"));
  CHECK_THAT(refused("{\"ids\": [1, 50], \"correct_id\": 1, \"wrong_id\": 2}"), ContainsSubstring("token id 50"));
  CHECK_THAT(refused("{\"ids\": [], \"correct_id\": 1, \"wrong_id\": 2}"), ContainsSubstring("empty prompt"));
  CHECK_THAT(refused("{\"ids\": [1,1,1,1,1,1], \"correct_id\": 1, \"wrong_id\": 2}"), ContainsSubstring("6 tokens"));
  CHECK_THAT(refused("{\"ids\": [1], \"correct_id\": 2, \"wrong_id\": 2}"), ContainsSubstring("they must differ"));
  CHECK_THAT(refused("{\"ids\": [1], \"correct_id\": 1, \"wrong_id\": 2, \"roles\": {\"end\": [0, 2]}}"),
             ContainsSubstring("\"end\" should be a span"));
  CHECK_THAT(refused("{\"ids\": [1], \"correct_id\": 1, \"wrong_id\": 2, \"roles\": {\"end\": [1, 1]}}"),
             ContainsSubstring("\"end\" should be a span"));
  const std::string pair = "{\"ids\": [1], \"correct_id\": 1, \"wrong_id\": 2, ";
  CHECK_THAT(refused(pair + "\"tokens\": [1]}"), ContainsSubstring("\"tokens\" should be an object"));
  CHECK_THAT(refused(pair + "\"tokens\": {\"rivals\": 1}}"),
             ContainsSubstring("\"rivals\" should be an array of token ids, found 1"));
  CHECK_THAT(refused(pair + "\"tokens\": {\"rivals\": [0, 50]}}"), ContainsSubstring("token id 50 in \"rivals\""));
  CHECK_THAT(refused(pair + "\"numbers\": {\"weight\": \"1\"}}"),
             ContainsSubstring("\"weight\" should be a number, found \"1\""));
  CHECK_THAT(refused("{\"ids\":", error_kind::bad_file), ContainsSubstring("data.jsonl, line 1' is not valid JSON"));
  CHECK_THAT(refused(""), ContainsSubstring("holds no prompt pairs"));
}

TEST_CASE("A corrupt prompt is text or ids, as long as its prompt and not equal to it") {
  const auto folder = temporary_folder();
  const auto encoder = word_tokenizer();
  const std::string text = "{\"prompt\": \"Rome is in\", \"correct\": \" Italy\", \"wrong\": \" Spain\"";
  const auto pairs = io::read_prompts(
      folder.file("data.jsonl", text + ", \"corrupt\": \"Oslo is in\"}\n" + text + ", \"corrupt_ids\": [1, 2, 3]}\n" +
                                    text +
                                    "}\n{\"ids\": [1], \"correct_id\": 1, \"wrong_id\": 2, \"corrupt_ids\": [4]}"),
      encoder);
  CHECK(pairs[0].corrupt == "Oslo is in");
  CHECK(pairs[0].corrupt_ids == encoder.encode("Oslo is in"));
  CHECK(pairs[1].corrupt_ids == std::vector{1, 2, 3});
  CHECK(pairs[2].corrupt_ids.empty());
  CHECK(pairs[3].corrupt_ids == std::vector{4});

  const std::string ids = "{\"ids\": [1, 2], \"correct_id\": 1, \"wrong_id\": 2";
  CHECK_THAT(refused(ids + "}\n" + ids + ", \"corrupt_ids\": [1]}"),
             ContainsSubstring("line 2' has a corrupt prompt of 1 tokens, but its prompt has 2"));
  CHECK_THAT(refused(ids + ", \"corrupt_ids\": [1, 2]}"), ContainsSubstring("equal to its prompt"));
  CHECK_THAT(refused(ids + ", \"corrupt_ids\": [1, 50]}"), ContainsSubstring("token id 50 in \"corrupt_ids\""));
  CHECK_THAT(refused(ids + ", \"corrupt_ids\": 3}"), ContainsSubstring("\"corrupt_ids\" should be an array"));
  const auto none = folder.file("none.jsonl", ids + "}");
  CHECK(io::read_prompts(none).size() == 1);
  CHECK_THAT(refusal(error_kind::bad_data, [&] { io::read_prompts(none, {.corrupt = true}); }),
             ContainsSubstring("line 1' has no corrupt prompt"));
}

TEST_CASE("An answer of several tokens is refused with its tokens") {
  const auto sentence = refused("{\"prompt\": \"a\", \"correct\": \" Montevideo\", \"wrong\": \" b\"}");
  CHECK_THAT(sentence, ContainsSubstring("line 1"));
  CHECK_THAT(sentence, ContainsSubstring("\" Montevideo\""));
  CHECK_THAT(sentence, ContainsSubstring("2 tokens (\" Monte\", \"video\")"));
}

TEST_CASE("Text without a tokenizer is refused, ids are read") {
  const auto folder = temporary_folder();
  CHECK(io::read_prompts(folder.file("ids.jsonl", "{\"ids\": [1], \"correct_id\": 1, \"wrong_id\": 2}")).size() == 1);
  const auto text = folder.file("text.jsonl", "{\"prompt\": \"a\", \"correct\": \" b\", \"wrong\": \" c\"}");
  CHECK_THAT(refusal(error_kind::bad_data, [&] { io::read_prompts(text); }), ContainsSubstring("needs a tokenizer"));
}

}  // namespace trimtab::test::prompt_file_tests
