// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/checkpoint_file.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <utility>

namespace trimtab::test::size_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using arguments = std::vector<std::string>;

arguments operator+(arguments one, const arguments& more) {
  one.insert(one.end(), more.begin(), more.end());
  return one;
}

arguments fit_of(const model_for_cli& model, const arguments& more = {}) {
  return arguments{"fit", "--model", model.path(), "--data", model.data(), "--lambda-m", "0.00001", "--json"} + more;
}

}  // namespace

TEST_CASE("A plan tells rows, memory, operations and touched tokens before a weight is read") {
  const model_for_cli model;
  const auto plan = [&](const arguments& more) {
    return run_trimtab(fit_of(model, more + arguments{"--plan"})).json();
  };
  const auto whole = plan({"--positions", "from_end"});
  CHECK(whole["chunks"] == 1);
  CHECK(whole["rows"] > 0);
  CHECK(whole["flops"] > 0);
  CHECK(whole["seconds"] > 0);
  index_t bytes = 0;
  for (const auto* part : {"weights", "activations", "logits", "untouched", "parameters", "program"}) {
    CAPTURE(part);
    CHECK(whole["memory"][part] > 0);
    bytes += whole["memory"][part].get<index_t>();
  }
  CHECK(bytes < 200'000'000);
  CHECK(whole["touched"]["attn_out"].size() == whole["touched"]["resid_post"].size());
  const auto cut = plan({"--positions", "from_end", "--chunk", "1"});
  CHECK(cut["chunks"] > 1);
  CHECK(cut["memory"]["activations"] < whole["memory"]["activations"]);
  CHECK(cut["memory"]["weights"] == whole["memory"]["weights"]);
  CHECK(plan({"--epochs", "3", "--batch-size", "1"})["steps"].get<index_t>() % 3 == 0);

  for (const auto& [type, share] : {std::pair("float16", 2), {"bfloat16", 2}, {"float32", 1}, {"stored", 1}}) {
    CAPTURE(type);
    const auto narrow = plan({"--positions", "from_end", "--weights", type})["memory"];
    // Biases, norms and positions stay as they are, in this small model a tenth of the numbers.
    CHECK(narrow["weights"].get<double>() * share < 1.15 * whole["memory"]["weights"].get<double>());
    CHECK(narrow["weights"].get<double>() * share >= whole["memory"]["weights"].get<double>());
    CHECK(narrow["activations"] == whole["memory"]["activations"]);
  }

  // Weights that no fit accepts: a plan does not look at them.
  const auto file = model.path() + "/model.safetensors";
  auto content = content_of(file);
  std::uint64_t header = 0;
  std::memcpy(&header, content.data(), sizeof header);
  std::fill(content.begin() + static_cast<std::ptrdiff_t>(sizeof header + header), content.end(), '\xff');
  std::ofstream(file, std::ios::binary) << content;
  CHECK(plan({"--positions", "from_end"})["memory"]["weights"] == whole["memory"]["weights"]);
  CHECK_THAT(run_trimtab(fit_of(model)).err, ContainsSubstring("not finite"));
  std::filesystem::remove(file);
  CHECK(plan({"--positions", "from_end"})["memory"]["weights"] == whole["memory"]["weights"]);
  const auto text = run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--plan", "--memory", "1K"});
  CHECK(text.status == 0);
  CHECK_THAT(text.out, ContainsSubstring("more than the 1.0 KB that the fit may take"));
}

TEST_CASE("A fit that needs more memory than it may take is refused with a chunk that fits") {
  const model_for_cli model;
  const auto refused = run_trimtab(fit_of(model, {"--memory", "100K"}));
  CHECK(refused.status == 1);
  CHECK(refused.error_lines() == 1);
  CHECK_THAT(refused.err,
             ContainsSubstring("may take 100.0 KB (--memory)") and ContainsSubstring("not even one prompt"));
  CHECK(run_trimtab(fit_of(model, {"--memory", "1G", "--steps", "1"})).status == 0);
}

TEST_CASE("Evaluations, losses and certificates take the memory that they may, and change no figure") {
  const model_for_cli model;
  const auto fitted = model.name("fitted");
  REQUIRE(run_trimtab(fit_of(model, {"--steps", "5", "--out", fitted})).status == 0);
  const auto command =
      GENERATE(arguments{"eval", "--per-prompt"}, arguments{"loss"}, arguments{"certify", "--subsets", "3"});
  const auto all = command + arguments{"--model",    model.path(), "--intervention", fitted, "--data",
                                       model.data(), "--json",     "--threads",      "1"};
  const auto plain = run_trimtab(all);
  CAPTURE(command, plain.err);
  REQUIRE(plain.status == 0);
  CHECK(run_trimtab(all + arguments{"--memory", "1G"}).out == plain.out);
  // Hardly more than the program takes without the work.
  const auto idle = run_trimtab({"logits", "--model", model.path(), "--ids", "1", "--json", "--threads", "1"}).peak;
  const auto tight = run_trimtab(all + arguments{"--memory", std::to_string(idle + 8'000'000)});
  CAPTURE(tight.err);
  CHECK(tight.status == 0);
  CHECK(tight.out == plain.out);
  const auto refused = run_trimtab(all + arguments{"--memory", "1M"});
  CHECK(refused.status == 1);
  CHECK(refused.error_lines() == 1);
  CHECK_THAT(refused.err, ContainsSubstring("may take 1.0 MB"));
}

#if not defined(__SANITIZE_ADDRESS__)  // which takes memory of its own
TEST_CASE("An evaluation keeps to the memory that it may take") {
  const model_for_cli model;
  const std::string tiny = TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2";
  const auto fitted = model.name("fitted");
  REQUIRE(run_trimtab({"fit", "--model", tiny, "--task", "ioi", "--train", "2", "--test", "2", "--steps", "1", "--out",
                       fitted, "--quiet"})
              .status == 0);
  const auto measured = [&](const std::string& memory, const arguments& more = {}) {
    return run_trimtab(arguments{"eval", "--model", tiny, "--task", "ioi", "--train", "64", "--test", "2",
                                 "--intervention", fitted, "--strengths", "1,-1,2,-2,3,-3,4,-4", "--threads", "1",
                                 "--memory", memory, "--json"} +
                       more);
  };
  const auto much = measured("1G"), little = measured("50M");
  double planned = 0;
  const auto plan = measured("1G", {"--plan"}).json();
  for (const auto& part : plan["memory"]) planned += part.get<double>();
  CAPTURE(much.peak, planned, little.peak, little.err);
  CHECK(much.out == little.out);
  CHECK(much.peak > 60'000'000);
  CHECK(std::abs(planned / static_cast<double>(much.peak) - 1) < 0.1);
  CHECK(little.peak < 55'000'000);
}
#endif

TEST_CASE("The plan of an evaluation reads no weight, and its parts are those of its work") {
  const model_for_cli model;
  const auto fitted = model.name("fitted");
  REQUIRE(run_trimtab(fit_of(model, {"--steps", "5", "--out", fitted})).status == 0);
  const auto plan = [&](const arguments& more) {
    return run_trimtab(arguments{"eval", "--model", model.path(), "--intervention", fitted, "--data", model.data(),
                                 "--json", "--plan"} +
                       more)
        .json();
  };
  const auto whole = plan({});
  CHECK(whole["rows"] > 0);
  CHECK(whole["seconds"] > 0);
  for (const auto* part : {"weights", "activations", "program"}) CHECK(whole["memory"][part] > 0);
  CHECK(whole["touched"]["attn_out"].size() == whole["touched"]["resid_post"].size());
  const auto more = plan({"--strengths", "1,-1,2,-2"});
  CHECK(more["rows"] == 2 * whole["rows"].get<index_t>());
  CHECK(more["flops"] > whole["flops"]);
  CHECK(more["memory"]["activations"] > whole["memory"]["activations"]);
  std::filesystem::remove(model.path() + "/model.safetensors");
  CHECK(plan({})["flops"] == whole["flops"]);
  const auto text = run_trimtab(
      {"eval", "--model", model.path(), "--intervention", fitted, "--data", model.data(), "--plan", "--memory", "1K"});
  CHECK(text.status == 0);
  CHECK_THAT(text.out, ContainsSubstring("more than the 1.0 KB that the evaluation may take"));
}

#if not defined(__SANITIZE_ADDRESS__)  // which takes memory of its own
TEST_CASE("A fit in batches finds the largest weight of minimality in the memory of a batch") {
  const auto peak_of = [](const arguments& more) {
    const auto fitted =
        run_trimtab(arguments{"fit", "--model", TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2", "--task", "ioi", "--train", "64",
                              "--test", "2", "--steps", "1", "--quiet", "--threads", "1"} +
                    more);
    CHECK(fitted.status == 0);
    return fitted.peak;
  };
  const auto whole = peak_of({}), batch = peak_of({"--batch-size", "4"});
  CAPTURE(whole, batch);
  CHECK(batch < whole - 30'000'000);
}
#endif

TEST_CASE("The bits of a fit in chunks depend on nothing but the chunk, and it resumes") {
  const model_for_cli model;
  const auto file = [&](const std::string& name, const arguments& more) {
    const auto out = model.name(name);
    CHECK(run_trimtab(fit_of(model, more + arguments{"--out", out})).status == 0);
    return content_of(out);
  };
  const arguments cut =
      GENERATE(arguments{"--chunk", "1", "--steps", "5"},
               arguments{"--chunk", "1", "--batch-size", "2", "--epochs", "3", "--warmup", "2", "--cosine"});
  const auto one = file("one", cut + arguments{"--threads", "1"});
  CHECK((file("two", cut + arguments{"--threads", "2"}) == one));
  CHECK((file("memory", cut + arguments{"--memory", "2G"}) == one));
}

TEST_CASE("Ctrl-C breaks off a step between two chunks and keeps the steps before it") {
  const model_for_cli model;
  const auto state = model.name("state"), out = model.name("out");
  const auto ended =
      interrupt_trimtab(fit_of(model, {"--chunk", "1", "--steps", "1000000000", "--checkpoint", state, "--out", out}));
  CAPTURE(ended.err);
  CHECK(ended.error_lines() == 2);  // that the signal came, and where the fit ended
  if (ended.status == 1) {
    CHECK_THAT(ended.err, ContainsSubstring("before the first step was made"));
    return;
  }
  CHECK(ended.status == 0);
  const auto made = ended.json()["steps"].get<index_t>();
  CHECK(io::read_checkpoint(state).steps() == made);
  const auto resumed =
      run_trimtab(fit_of(model, {"--chunk", "1", "--steps", std::to_string(made + 3), "--resume", state}));
  CHECK(resumed.json()["steps"] == made + 3);
}

}  // namespace trimtab::test::size_tests
