// SPDX-License-Identifier: Apache-2.0

#include "per_prompt.hpp"

#include "data.hpp"

#include <trimtab/report/text.hpp>
#include <trimtab/text/csv_field.hpp>

namespace trimtab::cli {

ordered_json per_prompt_json(const metrics& m, const std::vector<prompt_pair>& pairs) {
  const auto text = [](const std::string& of) { return of.empty() ? ordered_json() : ordered_json(of); };
  auto all = ordered_json::array();
  for (std::size_t n = 0; n < pairs.size(); ++n) {
    const auto by_strength = [&](auto figure) {
      auto values = ordered_json::object();
      for (const auto& [strength, each] : m.per_prompt) values[strength_text(strength)] = figure(each[n]);
      return values;
    };
    all.push_back({{"prompt", text(pairs[n].prompt)},
                   {"correct", text(pairs[n].correct)},
                   {"wrong", text(pairs[n].wrong)},
                   {"logit_diff", by_strength([](const auto& one) { return one.logit_diff; })},
                   {"flipped", by_strength([](const auto& one) { return one.flip_rate > 0; })},
                   {"probability",
                    {{"correct", by_strength([](const auto& one) { return one.probability_correct; })},
                     {"wrong", by_strength([](const auto& one) { return one.probability_wrong; })}}},
                   {"kl_masked", by_strength([](const auto& one) { return one.kl_masked; })},
                   {"kl_full", by_strength([](const auto& one) { return one.kl_full; })},
                   {"top_other_same", by_strength([](const auto& one) { return one.top_other_same > 0; })}});
    all.back()["flipped"].erase("0");
  }
  return all;
}

std::string per_prompt_lines(const std::string& set, const metrics& m, const std::vector<prompt_pair>& pairs) {
  std::string lines;
  for (std::size_t n = 0; n < pairs.size(); ++n)
    for (const auto& [strength, each] : m.per_prompt) {
      const auto& one = each[n];
      lines += text::csv_field(set) + "," + std::to_string(n) + "," + strength_text(strength);
      lines += "," + report::exact(one.logit_diff) + "," + (strength == 0 ? "" : one.flip_rate > 0 ? "1" : "0");
      for (const double x : {one.probability_correct, one.probability_wrong, one.kl_masked, one.kl_full})
        lines += "," + report::exact(x);
      lines += one.top_other_same > 0 ? ",1," : ",0,";
      lines += text::csv_field(pairs[n].prompt) + "\n";
    }
  return lines;
}

}  // namespace trimtab::cli
