// SPDX-License-Identifier: Apache-2.0

#include "describe.hpp"

#include <trimtab/core/version.hpp>

#include <cstdlib>
#include <ctime>

/// The manual page, in the macros of man(7).

namespace trimtab::cli {

namespace {

/// Text with roff's special characters escaped: no line begins with a control character, and hyphens stay hyphens.
std::string roff(const std::string& text) {
  std::string out;
  for (char c : text) {
    if ((c == '.' or c == '\'') and (out.empty() or out.back() == '\n')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return out;
}

/// The entry of an option: ".TP", its name, its description.
std::string entry(const CLI::Option* option) {
  const auto kind = takes_value(option) ? option->get_type_name() : std::string();
  std::string out = ".TP\n";
  if (option->get_positional())
    out += "\\fI" + roff(kind) + "\\fR\n";
  else
    out += "\\fB" + roff(option->get_name()) + "\\fR" + (kind.empty() ? "" : " \\fI" + roff(kind) + "\\fR") + "\n";
  return out + roff(option->get_description()) + (option->get_required() ? "; required" : "") + "\n";
}

bool is_common(const CLI::Option* option) { return option->get_group() == "Common"; }

/// The date of the page; reproducible builds set SOURCE_DATE_EPOCH.
std::string today() {
  const char* const fixed = std::getenv("SOURCE_DATE_EPOCH");
  const auto now = fixed ? static_cast<std::time_t>(std::strtoll(fixed, nullptr, 10)) : std::time(nullptr);
  std::tm parts{};
  char text[16] = "";
  if (::gmtime_r(&now, &parts)) std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

/// Text whose line breaks are kept, between .nf and .fi.
std::string verbatim(const std::string& text) { return ".PP\n.nf\n" + roff(text) + "\n.fi\n"; }

}  // namespace

std::string manual_page(const CLI::App& app) {
  std::string page = ".TH TRIMTAB 1 " + today() + " \"trimtab " + std::string(version) +
                     "\" \"User Commands\"\n.SH NAME\ntrimtab \\- " +
                     "steer GPT\\-2 and Pythia by small interventions on their activations\n.SH SYNOPSIS\n" +
                     ".B trimtab\n.I command\n.RI [ option \" ...]\"\n.SH DESCRIPTION\n" + roff(app.get_description()) +
                     "\nResults go to standard output, progress and errors to standard error.\n";
  page += ".SH COMMANDS\n";
  for (const auto* command : commands_of(app)) {
    page += ".SS trimtab " + roff(command->get_name()) + "\n" + roff(command->get_description()) + ".\n";
    for (const auto* option : command->get_options())
      if (option != command->get_help_ptr() and not is_common(option)) page += entry(option);
    page += verbatim(command->get_footer());
  }
  page += ".SH COMMON OPTIONS\nEvery command that computes takes these.\n";
  for (const auto* option : commands_of(app).front()->get_options())
    if (is_common(option)) page += entry(option);
  page += ".SH ENVIRONMENT\n.TP\n\\fBNO_COLOR\\fR\nif it is set and not empty, no output is coloured\n";
  page +=
      ".SH EXIT STATUS\n.TP\n0\nsuccess\n.TP\n1\nbad input: one sentence on standard error, nothing on standard "
      "output\n.TP\n2\nwrong usage\n.TP\n129, 143\nSIGHUP or SIGTERM ended a fit after its current step; what it "
      "learned was written\n";
  return page;
}

}  // namespace trimtab::cli
