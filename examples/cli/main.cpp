// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "options.hpp"
#include "ranks.hpp"

#include <trimtab/backend/eigen/available_threads.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#ifdef __GLIBC__
#  include <malloc.h>
#endif

/// The program `trimtab`. Exit status: 0 for success, also of a fit that the user ended by Ctrl-C; 1 for bad input,
/// with one sentence on standard error; 2 for wrong usage; 128 + n if signal n (SIGTERM or SIGHUP) ended a fit early.

namespace trimtab::cli {

output run(const command_line& line) {
  if (line.name == "fit") return fit(line.fit, line.common);
  if (line.name == "sweep") return cli::sweep(line.sweep, line.common);
  if (line.name == "study") return study(line.study, line.common);
  if (line.name == "certify") return certify(line.certify, line.common);
  if (line.name == "eval") return eval(line.eval, line.common);
  if (line.name == "check") return check(line.check, line.common);
  if (line.name == "loss") return cli::loss(line.loss, line.common);
  if (line.name == "explain") return cli::explain(line.explain, line.common);
  if (line.name == "report") return cli::report(line.report, line.common);
  if (line.name == "logits") return logits(line.logits, line.common);
  if (line.name == "generate") return generate(line.generate, line.common);
  if (line.name == "bake") return bake(line.bake, line.common);
  if (line.name == "export") return export_to(line.export_to);
  if (line.name == "import") return import_from(line.import_from, line.common);
  if (line.name == "task") return cli::task(line.task, line.common);
  if (line.name == "tokenize") return tokenize(line.tokenize, line.common);
  return inspect(line.inspect);
}

}  // namespace trimtab::cli

namespace {

using namespace trimtab;
using namespace trimtab::cli;

/// Throws for an infinity, which JSON cannot hold; parameters or strengths that are too large give some.
void require_finite(const ordered_json& value) {
  if (value.is_number_float() and not std::isfinite(value.get<double>()))
    throw error(
        error_kind::bad_argument,
        "a result is not a finite number: the strength or the parameters are too large, or the weights are not finite");
  if (value.is_structured())
    for (const auto& entry : value) require_finite(entry);
}

/// A constant, because putting a sentence together needs memory.
constexpr char no_memory[] = "trimtab: there is not enough memory for this\n";

/// Prints one readable line, whatever a file's name or content puts into the sentence: neither may send control
/// characters to a terminal.
int fail(int status, const std::string& problem) {
  // What is wrong for one rank mostly is for all: the first one says it, and ends the others.
  if (not is_first_rank()) std::this_thread::sleep_for(std::chrono::seconds(3));
  constexpr std::size_t most = 2000;
  auto sentence = problem;
  std::ranges::replace(sentence, '\n', ' ');
  sentence = text::one_line(sentence);
  if (sentence.size() > most) sentence = text::one_line(sentence.substr(0, most)) + "...";
  std::cerr << report::styled("trimtab:", "1;31", report::wants_colour(STDERR_FILENO)) << ' ' << sentence << std::endl;
  rank_session::abort_all(status);
  return status;
}

/// A rank that is not the first one learns and says nothing; of a sweep it writes its own points.
void silence(command_line& line) {
  line.common.quiet = true;
  line.common.verbose = false;
  for (path* output :
       {&line.fit.out, &line.fit.report, &line.fit.heatmap.file, &line.fit.trace, &line.fit.checkpoint,
        &line.sweep.fit.report, &line.eval.per_prompt_csv, &line.explain.report, &line.explain.heatmap.file})
    output->clear();
}

/// A line for each output that is younger than the command: a plan writes none.
std::string written_by(const command_line& line, std::filesystem::file_time_type begun) {
  std::string lines;
  std::error_code missing;
  for (const path& output : line.outputs)
    if (const auto at = std::filesystem::last_write_time(output, missing); not missing and at >= begun)
      lines += "written: " + text::one_line(output.string()) + "\n";
  return lines;
}

/// Escapes the control characters that JSON may hold unescaped but a terminal obeys: DEL, and those of C1, which have
/// two bytes.
std::string with_controls_escaped(const std::string& json) {
  constexpr char digits[] = "0123456789abcdef";
  std::string safe;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const auto byte = static_cast<unsigned char>(json[i]);
    const auto next = i + 1 < json.size() ? static_cast<unsigned char>(json[i + 1]) : 0u;
    const bool is_c1 = byte == 0xC2 and next < 0xA0;
    const unsigned control = is_c1 ? next : byte;
    if (is_c1 or byte == 0x7F)
      safe.append("\\u00").append({digits[control / 16], digits[control % 16]}), i += is_c1 ? 1 : 0;
    else
      safe += json[i];
  }
  return safe;
}

/// If memory runs out in a destructor of the JSON library or in a helper thread, the exception cannot reach `main`.
[[noreturn]] void end_without_memory() {
  try {
    if (const auto problem = std::current_exception()) std::rethrow_exception(problem);
  } catch (const std::bad_alloc&) {
    std::fputs(no_memory, stderr);
    std::_Exit(1);
  } catch (...) {
  }
  std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  std::set_terminate(end_without_memory);
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);  // large memory goes back when it is freed: the bound of a fit counts on it
#endif
  std::signal(SIGXFSZ, SIG_IGN);         // a write beyond the limit of a file's size then fails with an error
  std::optional<rank_session> together;  // outlives what fails
  try {
    // Times of files are those of the last tick of the clock.
    const auto begun = std::filesystem::file_time_type::clock::now() - std::chrono::milliseconds(50);
    auto line = parse(argc, argv);
    int status = 0;
    if (line.name.empty()) {
      std::cout << line.help << std::flush;
    } else {
      together.emplace(line.name);
      if (not is_first_rank()) silence(line);
      if (line.common.threads == 0 and ranks_on_this_machine() > 1)
        line.common.threads = std::max(1, eigen::available_threads() / ranks_on_this_machine());
      const auto found = run(line);
      require_finite(found.json);
      status = found.status;
      if (not is_first_rank()) return status;
      if (line.common.json)
        std::cout << with_controls_escaped(found.json.dump(-1, ' ', false, ordered_json::error_handler_t::replace))
                  << std::endl;
      else
        std::cout << found.text << (line.common.quiet ? std::string() : written_by(line, begun)) << std::flush;
    }
    if (not std::cout) return fail(1, "cannot write to standard output");
    return status;
  } catch (const usage_error& problem) {
    return fail(2, problem.what() + (" (see trimtab help" + named_command(argc, argv) + ")"));
  } catch (const error& problem) {
    return fail(1, problem.what());
  } catch (const std::bad_alloc&) {
    std::fputs(no_memory, stderr);
    rank_session::abort_all(1);
    return 1;
  } catch (const std::length_error&) {
    std::fputs(no_memory, stderr);
    rank_session::abort_all(1);
    return 1;
  } catch (const std::exception& problem) {
    return fail(1, problem.what());
  }
}
