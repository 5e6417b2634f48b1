// SPDX-License-Identifier: Apache-2.0

#include "bad_input.hpp"

namespace trimtab::test::bad_output_tests {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("Places that cannot be written to") {
  const model_for_cli model;
  const auto folder = std::filesystem::path(model.name("read-only"));
  std::filesystem::create_directory(folder);
  std::filesystem::permissions(folder, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  std::vector<std::pair<std::string, std::string>> table = {
      {"/nowhere/at/all/file", "cannot write '/nowhere/at/all/file': "},
      {model.path(), "cannot write '" + model.path() + "': "},
      {model.path() + "/", "cannot write '" + model.path() + "/': "},
      {model.data() + "/file", "cannot write '" + model.data() + "/file': "},
      {"/dev/null", "cannot write '/dev/null': "},
      {"/dev/full", "cannot write '/dev/full': "},
  };
  if (::access(folder.c_str(), W_OK) != 0)  // root may write everywhere
    table.emplace_back((folder / "file").string(), "cannot write '" + (folder / "file").string() + "': ");
  for (const auto& [file, sentence] : table)
    for (const std::string option : {"--out", "--trace", "--report"})
      check_refused({"fit", "--model", model.path(), "--data", model.data(), "--steps", "1", option, file}, {sentence});
}

TEST_CASE("A full disk, a full pipe, and no memory") {
  const model_for_cli model;
  const std::string fit = std::string(TRIMTAB_PROGRAM) + " fit --model " + model.path() + " --data " + model.data() +
                          " --steps 1 --out " + model.name("i.safetensors");
  // With a limit of 0 on the size of files, writing fails as on a full disk.
  check_shell("ulimit -f 0; " + fit, "cannot write '" + model.name("i.safetensors") + "': File too large");
  CHECK_FALSE(std::filesystem::exists(model.name("i.safetensors")));
  for (const auto& entry : std::filesystem::directory_iterator(model.path())) CHECK(entry.path().extension() != ".tmp");
  check_shell(std::string(TRIMTAB_PROGRAM) + " inspect " + model.path() + " >/dev/full",
              "cannot write to standard output");
  check_shell(std::string(TRIMTAB_PROGRAM) + " --help >/dev/full", "cannot write to standard output");
#if not defined(__SANITIZE_ADDRESS__)
  // A sparse file of 4 GiB, for a program that is limited to 1 GiB of memory.
  const auto large = std::filesystem::path(model.name("large.safetensors"));
  std::filesystem::copy(model.name("model.safetensors"), large);
  const auto vast = model.file("vast.jsonl", "");
  std::filesystem::resize_file(vast, std::uintmax_t{4} << 30);
  check_shell("ulimit -v 1000000; " + std::string(TRIMTAB_PROGRAM) + " fit --threads 1 --model " + model.path() +
                  " --data " + vast,
              "vast.jsonl' has 4294967296 bytes, and there is not enough memory for them");
  std::string ranges = "0-100000";
  for (int i = 1; i < 1000; ++i) ranges += ",0-100000";
  check_shell("ulimit -v 1000000; " + fit + " --threads 1 --layers " + ranges,
              "the model has no layer 2; its layers are 0 to 1");
  check_shell("ulimit -v 500000; " + fit + " --threads 1024", "; ask for fewer with --threads");
#endif
}

}  // namespace trimtab::test::bad_output_tests
