// SPDX-License-Identifier: Apache-2.0

#include "bad_input.hpp"

namespace trimtab::test::bad_data_tests {

TEST_CASE("Bad prompt pairs") {
  const model_for_cli model;
  const std::vector<std::string> fit = {"fit", "--model", model.path(), "--data", model.data(), "--steps", "1"};
  check_accepted(fit);
  const std::string good = "{\"ids\": [1, 2], \"correct_id\": 5, \"wrong_id\": 6}\n";
  const auto ids = [](const std::string& list) {
    return "{\"ids\": " + list + ", \"correct_id\": 5, \"wrong_id\": 6}";
  };
  const auto answers = [](const std::string& correct, const std::string& wrong) {
    return "{\"ids\": [1], \"correct_id\": " + correct + ", \"wrong_id\": " + wrong + "}";
  };
  const auto text = [](const std::string& prompt, const std::string& correct, const std::string& wrong) {
    return "{\"prompt\": " + prompt + ", \"correct\": " + correct + ", \"wrong\": " + wrong + "}";
  };
  const auto roles = [](const std::string& object) {
    return "{\"ids\": [1, 2], \"correct_id\": 5, \"wrong_id\": 6, \"roles\": " + object + "}";
  };

  const std::pair<std::string, std::string> table[] = {
      // The file and its lines.
      {"", "data.jsonl' holds no prompt pairs; expected one JSON object per line"},
      {"\n \r\n\t\n", "data.jsonl' holds no prompt pairs"},
      {"\xef\xbb\xbf", "data.jsonl' holds no prompt pairs"},
      {good + "{\n", "data.jsonl, line 2' is not valid JSON: parse error at line 1, column 2"},
      {"\xef\xbb\xbf" + good + "\r\n" + "nonsense\r\n", "data.jsonl, line 3' is not valid JSON"},
      {"[1, 2]\n", "data.jsonl, line 1' should hold a JSON object, found [1,2]"},
      {good + "7\n", "data.jsonl, line 2' should hold a JSON object, found 7"},
      {good + "{} {}\n", "data.jsonl, line 2' is not valid JSON"},
      {good + text("\"a\xff\"", "\"b\"", "\"c\""), "data.jsonl, line 2' is not valid JSON: parse error at line 1"},
      {good + text("\"\\ud83d\"", "\"b\"", "\"c\""), "data.jsonl, line 2' is not valid JSON"},
      {good + std::string("{\"prompt\": \"\0\"}", 15), "data.jsonl, line 2' is not valid JSON: byte 12 is NUL"},
      {"{\"ids\": [1], \"ids\": [2]}", "data.jsonl, line 1' is not valid JSON: the key \"ids\" occurs twice"},
      {"{\"x\": " + std::string(100'000, '['), "data.jsonl, line 1' is not valid JSON: it is nested deeper than 64"},
      // Fields.
      {"{}", "line 1' lacks \"prompt\", which should be a string"},
      {"{\"prompt\": \"a\", \"wrong\": \"c\"}", "line 1' lacks \"correct\", which should be a string"},
      {"{\"prompt\": \"a\", \"correct\": \"c\"}", "line 1' lacks \"wrong\", which should be a string"},
      {text("1", "\"b\"", "\"c\""), "line 1': \"prompt\" should be a string, found 1"},
      {text("\"a\"", "null", "\"c\""), "line 1': \"correct\" should be a string, found null"},
      {text("\"\"", "\"b\"", "\"c\""), "line 1' has an empty prompt; it needs at least one token"},
      {text("\"a\"", "\"xyz\"", "\"c\""),
       "line 1' has \"xyz\" as \"correct\", which is 3 tokens (\"x\", \"y\", \"z\")"},
      {text("\"a\"", "\"b\"", "\" c\""), "line 1' has \" c\" as \"wrong\", which is 2 tokens (\" \", \"c\")"},
      {text("\"a\"", "\"\"", "\"c\""), "line 1' has \"\" as \"correct\", which is 0 tokens"},
      {text("\"a\"", "\"<f>\"", "\"c\""), "line 1' has \"<f>\" as \"correct\", which is 3 tokens"},
      {text("\"a\"", "\"b\"", "\"b\""), "line 1' has the same token as correct and as wrong answer; they must differ"},
      {answers("5", "5"), "line 1' has the same token as correct and as wrong answer"},
      {ids("7"), "line 1': \"ids\" should be an array of token ids, found 7"},
      {ids("{\"0\": 1}"), "line 1': \"ids\" should be an array of token ids, found {\"0\":1}"},
      {ids("[]"), "line 1' has an empty prompt"},
      {ids("[-1]"), "line 1': \"ids\" should be an array of token ids, found [-1]"},
      {ids("[1.0]"), "line 1': \"ids\" should be an array of token ids, found [1.0]"},
      {ids("[\"1\"]"), "line 1': \"ids\" should be an array of token ids, found [\"1\"]"},
      {ids("[[1]]"), "line 1': \"ids\" should be an array of token ids, found [[1]]"},
      {ids("[300]"), "line 1' has the token id 300 in \"ids\", outside the model's vocabulary of 300 tokens"},
      {ids("[2147483648]"), "line 1': \"ids\" should be an array of token ids, found [2147483648]"},
      {ids("[18446744073709551616]"), "line 1': \"ids\" should be an array of token ids"},
      {ids("[1,1,1,1,1,1,1,1,1,1,1,1,1]"), "line 1' has a prompt of 13 tokens, but the model reads at most 12"},
      {text("\"abcdefghijklmnop\"", "\"b\"", "\"c\""),
       "line 1' has a prompt of 15 tokens, but the model reads at most 12"},
      {answers("300", "6"), "line 1' has the token id 300 in \"correct_id\", outside the model's vocabulary"},
      {answers("5", "-6"), "line 1': \"wrong_id\" should be a token id, found -6"},
      {answers("5", "null"), "line 1': \"wrong_id\" should be a token id, found null"},
      {"{\"ids\": [1], \"correct_id\": 5}", "line 1': \"wrong_id\" should be a token id, found nothing"},
      {"{\"ids\": [1], \"correct\": \"a\", \"wrong_id\": 5}",
       "line 1': \"correct_id\" should be a token id, found nothing"},
      // Lengths and roles.
      {good + "\n" + ids("[1, 2, 3]"),
       "line 3' has a prompt of 3 tokens, but absolute positions need all of one length, 2"},
      {roles("[]"), "line 1': \"roles\" should be an object, found []"},
      {roles("{\"end\": 1}"), "line 1': \"end\" should be a span [first, last) of the prompt's 2 tokens, found 1"},
      {roles("{\"end\": [1]}"), "line 1': \"end\" should be a span"},
      {roles("{\"end\": [1, 2, 3]}"), "line 1': \"end\" should be a span"},
      {roles("{\"end\": [1, 3]}"),
       "line 1': \"end\" should be a span [first, last) of the prompt's 2 tokens, found [1,3]"},
      {roles("{\"end\": [2, 2]}"), "line 1': \"end\" should be a span"},
      {roles("{\"end\": [1, 0]}"), "line 1': \"end\" should be a span"},
      {roles("{\"end\": [-1, 1]}"), "line 1': \"end\" should be a span"},
      {roles("{\"end\": [0.0, 1]}"), "line 1': \"end\" should be a span"},
      {roles("{\"end\": [\"0\", 1]}"), "line 1': \"end\" should be a span"},
  };
  for (const auto& [content, sentence] : table) {
    const file_with bad(model.data(), content);
    check_refused(fit, {model.path(), sentence});
  }

  const auto test = model.file("test.jsonl", good);
  const auto with_test = [&](const std::string& file) {
    auto arguments = fit;
    arguments.insert(arguments.end(), {"--test", file});
    return arguments;
  };
  check_refused(with_test(test),
                {"test.jsonl, line 1' has a prompt of 2 tokens, but absolute positions need all of one "
                 "length, 4 here; use from_end, role or shared positions"});
  check_refused(with_test(model.name("absent.jsonl")), {"absent.jsonl': No such file"});
  check_refused(with_test(model.path()), {model.path() + "' is a folder where a file was expected"});
  check_refused({"fit", "--model", model.path(), "--data", model.name("absent.jsonl")},
                {"absent.jsonl': No such file"});
  check_refused(with_test("/dev/zero"), {"'/dev/zero' is a pipe or device where a regular file was expected"});

  const model_for_cli wordless(false, false);
  const auto words = wordless.file("words.jsonl", text("\"a\"", "\"b\"", "\"c\""));
  check_refused({"fit", "--model", wordless.path(), "--data", words},
                {words + ", line 1', \"prompt\": ", "no tokenizer"});
  check_refused({"fit", "--model", wordless.path(), "--task", "ioi"}, {wordless.path(), "holds no tokenizer"});
}

}  // namespace trimtab::test::bad_data_tests
