// SPDX-License-Identifier: Apache-2.0

#include "bad_input.hpp"

namespace trimtab::test::bad_values_tests {

TEST_CASE("Bad values on the command line") {
  const model_for_cli model, parallel(true);
  struct {
    std::string option, value, sentence;
  } const table[] = {
      {"--lr", "0", "expected a positive number"},
      {"--lr", "-1", "expected a positive number"},
      {"--lr", "nan", "expected a positive number"},
      {"--lr", "inf", "expected a positive number"},
      {"--lr", "1e999", "expected a positive number"},
      {"--lr", "fast", "expected a positive number"},
      {"--lr", "", "expected a positive number"},
      {"--lr", "0x1p-3", "expected a positive number"},
      {"--steps", "0", "expected a whole number from 1 to 1000000000"},
      {"--steps", "-1", "expected a whole number from 1 to"},
      {"--steps", "1.5", "expected a whole number from 1 to"},
      {"--steps", "1e3", "expected a whole number from 1 to"},
      {"--steps", "99999999999999999999", "expected a whole number from 1 to"},
      {"--lambda-f", "nan", "expected a number that is not negative"},
      {"--lambda-f", "-0.5", "expected a number that is not negative"},
      {"--lambda-m", "inf", "expected a number that is not negative"},
      {"--lambda-m", "-1", "expected a number that is not negative"},
      {"--margin", "nan", "expected a finite number"},
      {"--margin", "-inf", "expected a finite number"},
      {"--margin", "+-3", "expected a finite number"},
      {"--margin", "++3", "expected a finite number"},
      {"--strengths", "nan", "expected a list of numbers such as 1,-1"},
      {"--strengths", "inf", "expected a list of numbers such as 1,-1"},
      {"--strengths", "1,1", "expected different numbers"},
      {"--psi", "hing", "expected hinge|identity|softplus; did you mean 'hinge'?"},
      {"--kl", "none", "expected full|masked"},
      {"--kl-direction", "back", "expected forward|reverse"},
      {"--minimality", "groups", "expected group|mean|sum; did you mean 'group'?"},
      {"--policy", "steer_vec", "did you mean 'steer-vec'?"},
      {"--policy", "lora",
       "expected activ-scalar|affine|channel-scale|conditional|dyn-scalar|low-rank|project-out|steer-vec"},
      {"--gate", "relu", "expected linear|tanh|rms|tanh-rms|mlp|cosine"},
      {"--rank", "3", "expected 4|1|2|8"},
      {"--init", "normal:-1", "expected identity or normal:S"},
      {"--positions", "from-end", "did you mean 'from_end'?"},
      {"--positions", "relative", "expected absolute|from_end|"},
      {"--sites", "attn_uot",
       "expected a list of resid_pre, attn_z, attn_out, resid_mid, mlp_post, mlp_out, resid_post; "
       "did you mean 'attn_out'?"},
      {"--sites", "ATTN-OUT", "did you mean 'attn_out'?"},
      {"--sites", "embedding", "expected a list of resid_pre, attn_z"},
      {"--layers", "5-2", "expected layers such as 4-11, 3 or 0,2,5, or all"},
      {"--layers", "first", "expected layers such as"},
      {"--layers", "-1", "expected layers such as"},
      {"--layers", "0-", "expected layers such as"},
      {"--layers", "0-1000000000", "expected layers such as"},
      {"--threads", "0", "expected a whole number from 1 to 1024"},
      {"--threads", "100000", "expected a whole number from 1 to 1024"},
      {"--precision", "half", "expected bf16|double|float|tf32"},
      {"--seed", "-1", "expected a whole number from 0 to 2^64 - 1"},
      {"--seed", "1.5", "expected a whole number from 0 to 2^64 - 1"},
      {"--data", "", "expected a path"},
      {"--out", "", "expected a path"},
  };
  for (const auto& [option, value, sentence] : table) {
    std::vector<std::string> arguments = {"fit", "--model", model.path(), "--data", model.data()};
    if (value.starts_with('-'))  // as a word of its own it would be an option
      arguments.push_back(option + "=" + value);
    else
      arguments.insert(arguments.end(), {option, value});
    check_refused(arguments, {option + " is '" + value + "'", sentence});
  }

  const auto fit = [&](const std::vector<std::string>& more, const std::vector<std::string>& words) {
    std::vector<std::string> arguments = {"fit", "--model", model.path(), "--data", model.data(), "--steps", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    check_refused(arguments, words);
  };
  fit({"--strengths", "1,,2"}, {"--strengths is ''; expected a list of numbers"});
  fit({"--strengths", "1e39"}, {"a strength is 1e+39, which float cannot hold; compute in double"});
  fit({"--layers", "2"}, {"the model has no layer 2; its layers are 0 to 1"});
  fit({"--layers", "0-7"}, {"the model has no layer 2"});
  fit({"--sites", "attn_out,here"}, {"--sites is 'here'; expected a list of"});
  fit({"--sites", ""}, {"--sites is ''; expected a list of"});
  fit({"--lr", "1e300", "--policy", "steer-vec"}, {"the loss is not finite before step 2"});
  check_refused({"fit", "--model", parallel.path(), "--data", parallel.data(), "--sites", "resid_mid"},
                {"the model's blocks are parallel and have no resid_mid; their sites are resid_pre, attn_z"});
  check_refused({"fit", "--model", model.path(), "--task", "io"},
                {"--task is 'io'; expected ccc|ioi; did you mean 'ioi'?"});
  check_refused({"fit", "--model", model.path(), "--task", "ioi"}, {"token"});

  const auto logits = [&](const std::vector<std::string>& more, const std::vector<std::string>& words) {
    std::vector<std::string> arguments = {"logits", "--model", model.path()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    check_refused(arguments, words);
  };
  logits({"--ids", "1,x"}, {"--ids is 'x'; expected token ids such as 1,2,3"});
  logits({"--ids", ""}, {"--ids is ''; expected token ids"});
  logits({"--ids", "1,300"}, {"token id 300 is outside the model's vocabulary of 300 tokens"});
  logits({"--ids", "-1"}, {"token id -1 is outside the model's vocabulary"});
  logits({"--ids", "99999999999"}, {"--ids is '99999999999'; expected token ids"});
  logits({"--ids", "1,2,3,4,5,6,7,8,9,10,11,12,13"}, {"the prompt has 13 tokens, but the model reads at most 12"});
  logits({"--prompt", ""}, {"--prompt: the prompt is empty; it needs at least one token"});
  logits({"--prompt", "abcdefghijklmnop"}, {"the prompt has 15 tokens, but the model reads at most 12"});
  logits({"--prompt", "ab\xff"}, {"--prompt: the text is not valid UTF-8 at byte 2"});
  logits({"--prompt", "\xed\xa0\x80"}, {"--prompt: the text is not valid UTF-8 at byte 0"});
  logits({"--prompt", "a", "--top", "0"}, {"--top is '0'; expected a whole number from 1"});
  for (const std::string strength : {"nan", "-nan", "inf", "-inf", "1e309", "+-3", "2e", "0x2", "", " 1"})
    logits({"--prompt", "a", "--strength=" + strength}, {"--strength is '" + strength + "'; expected a finite number"});
  logits({"--prompt=", "--json"}, {"--prompt: the prompt is empty; it needs at least one token"});

  check_refused({"completion", "tcsh"}, {"the shell is 'tcsh'; expected bash, fish or zsh"});

  const auto generate = [&](const std::string& option, const std::string& value, const std::string& sentence) {
    check_refused({"generate", "--model", model.path(), "--prompt", "a", option, value}, {option, sentence});
  };
  generate("--temperature", "-1", "expected a number that is not negative");
  generate("--temperature", "nan", "expected a number that is not negative");
  generate("--max-new-tokens", "-1", "expected a whole number from 0");
  generate("--seed", "x", "expected a whole number from 0 to 2^64 - 1");
}

}  // namespace trimtab::test::bad_values_tests
