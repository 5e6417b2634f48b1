// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen.hpp>
#include <trimtab/model/gpt2.hpp>
#include <trimtab/model/gpt_neox.hpp>

#include <filesystem>
#include <variant>

/// A model of any architecture, which is known only when its folder is read.

namespace trimtab::test {

template <typename T>
using any_model =
    std::variant<gpt2<eigen_backend<T>>, gpt_neox<eigen_backend<T>>, gpt_neox_sequential<eigen_backend<T>>>;

/// T is float or double.
template <typename T>
any_model<T> read_model(const std::filesystem::path& folder);

}  // namespace trimtab::test
