// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "describe.hpp"
#include "option_values.hpp"

#include <trimtab/text/joined.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/map.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace trimtab::cli {

/// Put before each item of a list so that CLI11 takes it as it is; no argument of a program can contain it.
inline constexpr char is_listed = '\0';

/// The options of one command. Each member function declares one; its value is stored when the command line is read.
class options_of {
 public:
  options_of(description& d, CLI::App* app) : d_(d), app_(app) {}

  /// A file that the command reads, and one that it writes.
  void file(const std::string& name, const std::string& help, path& to, bool required = false) {
    named(name, help, to, required, d_.files.inputs);
  }
  void output(const std::string& name, const std::string& help, path& to, bool required = false) {
    d_.writing.insert(name);
    named(name, help, to, required, d_.files.outputs);
  }
  /// A folder that the command fills.
  void folder(const std::string& name, const std::string& help, path& to, bool required = false) {
    d_.folders[app_->get_name()] = &to;
    parsed(
        name, "DIR", help, [name, &to](const std::string& value) { to = path_of(name, value); }, required);
  }
  void model(path& to) {
    parsed(
        "--model", "PATH", "folder of the model, or OWNER/NAME[@REVISION] of one in the Hugging Face cache",
        [&to, &d = d_](const std::string& value) { d.files.model = to = path_of("--model", value); }, true);
  }
  void files(const std::string& name, const std::string& help, std::vector<path>& to) {
    app_->add_option_function<std::vector<std::string>>(
            name,
            [name, &to, &d = d_](const std::vector<std::string>& values) {
              for (const auto& value : values) {
                to.push_back(path_of(name, value.substr(value.starts_with(is_listed))));
                d.files.inputs.push_back({"'" + to.back().string() + "'", to.back()});
              }
            },
            help)
        ->required()
        ->type_name("FILE")
        ->group(group_);
  }
  /// A file whose ending says which format is written.
  void heatmap(picture_options& to) {
    d_.writing.insert({"--heatmap", "--heatmap-width"});
    parsed("--heatmap", "PATH",
           "heat maps to write: .svg is a figure for papers, as are .pdf and .png where there is rsvg-convert; .csv or "
           ".json hold the numbers",
           [&to = to.file, &d = d_](const std::string& value) {
             to = value;
             const auto ending = to.extension();
             const std::vector<path> endings = {".svg", ".pdf", ".png", ".csv", ".json"};
             if (std::ranges::find(endings, ending) == endings.end())
               refuse("--heatmap", value, "a name that ends in .svg, .pdf, .png, .csv or .json");
             d.files.outputs.push_back({"--heatmap", to});
           });
    count("--heatmap-width", "width of the figure in pixels, at which wide maps go on below, default 1240", to.width,
          100, 20'000);
  }
  void flag(const std::string& name, const std::string& help, bool& to) {
    app_->add_flag(name, to, help)->group(group_);
  }
  /// A flag that calls `act` where it is given.
  template <typename Act>
  void set(const std::string& name, const std::string& help, Act act) {
    app_->add_flag_callback(name, act, help)->group(group_);
  }

  /// An option whose text `store` converts and stores, or refuses; `kind` is the name of its value in the help.
  template <typename Store>
  CLI::Option* parsed(const std::string& name, const std::string& kind, const std::string& help, Store store,
                      bool required = false) {
    // Given twice, the last one counts, as with most programs.
    return app_
        ->add_option_function<std::string>(
            name, [store](const std::string& value) { store(value); }, help)
        ->required(required)
        ->type_name(kind)
        ->take_last()
        ->group(group_);
  }
  /// An option that may be given several times, each stored in turn.
  template <typename Store>
  CLI::Option* repeated(const std::string& name, const std::string& kind, const std::string& help, Store store,
                        bool required = false) {
    return app_
        ->add_option_function<std::vector<std::string>>(
            name,
            [store](const std::vector<std::string>& values) {
              for (const auto& value : values) store(value);
            },
            help)
        ->required(required)
        ->type_name(kind)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group(group_);
  }
  /// Declares the values that completions offer for an option.
  void offer(const CLI::Option* option, std::vector<std::string> words, bool list = false) {
    d_.words[option] = {std::move(words), list};
  }
  template <typename To>
  void real(const std::string& name, const std::string& help, To& to, double least, bool least_allowed = true) {
    parsed(name, "X", help, [=, &to](const std::string& value) {
      const bool positive = not least_allowed;
      const auto expected = std::isfinite(least)
                                ? std::string(positive ? "a positive number" : "a number that is not negative")
                                : std::string("a finite number");
      const auto x = number_of<double>(name, value, expected);
      if (x < least or (positive and x == least)) refuse(name, value, expected);
      to = x;
    });
  }
  template <typename To>
  void count(const std::string& name, const std::string& help, To& to, std::int64_t least, std::int64_t most) {
    parsed(name, "N", help, [=, &to](const std::string& value) {
      const auto expected = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
      const auto n = number_of<std::int64_t>(name, value, expected);
      if (n < least or n > most) refuse(name, value, expected);
      to = static_cast<To>(n);
    });
  }
  void seed(const std::string& help, auto& to) {
    parsed("--seed", "N", help, [&to](const std::string& value) {
      to = number_of<std::uint64_t>("--seed", value, "a whole number from 0 to 2^64 - 1");
    });
  }
  template <typename To>
  void choice(const std::string& name, const std::string& help, To& to, const std::map<std::string, To>& choices,
              bool required = false) {
    const auto words = choices | ranges::views::keys | ranges::to<std::vector>();
    const auto names = text::joined(words, "|");
    const auto* const option = parsed(
        name, names, help,
        [=, &to](const std::string& value) {
          if (not choices.contains(value)) refuse(name, value, names, {words.begin(), words.end()});
          to = choices.at(value);
        },
        required);
    offer(option, words);
  }
  void word(const std::string& name, const std::string& help, std::string& to, const std::vector<std::string>& words,
            bool required = false) {
    std::map<std::string, std::string> choices;
    for (const auto& one : words) choices[one] = one;
    choice(name, help, to, choices, required);
  }
  /// The heading in the help of the options that are added after this call.
  void group(const std::string& name) { group_ = name; }

 private:
  void named(const std::string& name, const std::string& help, path& to, bool required, auto& files) {
    parsed(
        name, "PATH", help,
        [name, &to, &files](const std::string& value) {
          to = path_of(name, value);
          files.push_back({name, to});
        },
        required);
  }

  description& d_;
  CLI::App* app_;
  std::string group_ = "Options";
};

}  // namespace trimtab::cli
