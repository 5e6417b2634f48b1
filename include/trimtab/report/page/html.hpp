// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/version.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/report/citation.hpp>
#include <trimtab/report/page/describe.hpp>
#include <trimtab/report/page/fit_report.hpp>
#include <trimtab/report/page/fit_sections.hpp>
#include <trimtab/report/page/page_script.hpp>
#include <trimtab/report/page/page_style.hpp>
#include <trimtab/report/text.hpp>
#include <trimtab/steer/fitted.hpp>
#include <trimtab/task/prompt_pair.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// A report as one self-contained HTML file that makes no requests:
///
///     report::write_html("ioi.html", result, prompts);
///
/// shows what was asked, how good the fit is on every set of prompts, and where in the model it acts. Several fits on
/// the same prompts stand side by side in a chapter; `page_of` takes any number of those.

namespace trimtab::report {

/// What a page of fits says first.
inline constexpr std::string_view about_fits =
    "Interventions that steer an answer: what they do, what they cost, and where in the model they act. β is their "
    "strength: +1 towards the correct answer, −1 towards the wrong one, 0 the untouched model.";

/// The page as text.
inline std::string page_of(const std::string& title, const std::vector<chapter>& chapters,
                           std::string_view about = about_fits) {
  std::string links, body;
  for (std::size_t k = 0; k < chapters.size(); ++k) {
    const std::string number = std::to_string(k + 1), id = "chapter-" + number;
    const bool several = chapters.size() > 1;  // else the page's title says it
    if (several) links += element("li", {}, element_of_text("a", chapters[k].title, {{"href", "#" + id}}));
    body += element_of_text("h2", chapters[k].title, {{"id", id}, {"class", several ? "" : "unseen"}});
    body += detail::section_of(chapters[k], number);
  }
  std::string header = element_of_text("h1", title) + element_of_text("p", std::string(about), {{"class", "lead"}});
  if (not links.empty()) header += element("nav", {{"aria-label", "chapters"}}, element("ul", {}, links));
  const std::string made = "Made by trimtab " + std::string(version) + ". This file needs no network.";
  std::string page =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'sha256-";
  page += detail::page_script_hash;
  page +=
      "'; base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  page += element_of_text("title", title) + "\n<style>\n" + page_style() + "</style>\n</head>\n<body>\n";
  page += element("header", {}, header) + "\n" + element("main", {}, "\n" + body) + "\n";
  const auto cite =
      element("details", {}, element_of_text("summary", "How to cite") + element_of_text("pre", citation()));
  page += element("footer", {}, element_of_text("p", made, {{"class", "made"}}) + cite) + "\n<script>";
  page += detail::page_script;
  return page + "</script>\n</body>\n</html>\n";
}

/// Writes a page; an existing file is replaced as a whole or kept. Throws `io`.
inline void write_html(const std::filesystem::path& path, const std::string& title,
                       const std::vector<chapter>& chapters, std::string_view about = about_fits) {
  io::write_file_atomically(path, page_of(title, chapters, about));
}

/// The report of one fit. Throws as `evaluate` does, and `io`.
template <typename Steering>
void write_html(const std::filesystem::path& path, const fitted<Steering>& result, const task::prompt_sets& prompts,
                const describe_options& options = {}) {
  const fit_report fit = describe(result, prompts, options);
  write_html(path, fit.name, {{fit.name, {fit}}});
}

}  // namespace trimtab::report
