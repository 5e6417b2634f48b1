// SPDX-License-Identifier: Apache-2.0

#include "composed.hpp"
#include "load.hpp"
#include "policies.hpp"

namespace trimtab::cli {

namespace {

class unread_composition final : public any_layout {
 public:
  unread_composition(const model_config& config, const std::vector<chosen_at>& chosen) : config_(config) {
    for (const auto& one : chosen) {
      const auto& at = site::table[site_in(config, one.site)];
      policies_.push_back(policy_for<eigen_backend<float>>(one));
      chosen_.push_back({at, policies_.back().describe(site_width(at.rows, config)), one.layers, one.positions});
    }
  }

  parameter_layout layout(std::span<const prompt_pair> prompts) const override {
    return trimtab::lay_out(config_, chosen_, prompts);
  }
  fit_defaults defaults() const override {
    return least_of(policies_ | ranges::views::transform([](const auto& policy) { return policy.defaults(); }));
  }
  bool starts_at_identity() const override {
    return std::ranges::all_of(policies_, [](const auto& policy) { return policy.starts_at_identity(); });
  }

 private:
  model_config config_;
  std::vector<any_policy<eigen_backend<float>>> policies_ = {};
  std::vector<chosen_intervention> chosen_ = {};
};

}  // namespace

std::unique_ptr<any_layout> lay_out(const model_config& config, const std::vector<chosen_at>& chosen) {
  return std::make_unique<unread_composition>(config, chosen);
}

std::unique_ptr<any_model> load_cpu(const path& folder, const model_config& config, const common_options& common,
                                    io::model_folder_options options) {
  if (common.precision == arithmetic::in_double)
    return load_on(backend_for<double>(common), folder, config, std::move(options));
  return load_on(backend_for<float>(common), folder, config, std::move(options));
}

}  // namespace trimtab::cli
