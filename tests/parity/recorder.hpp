// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/pass.hpp>

#include <map>
#include <span>
#include <string>
#include <vector>

/// A set of hooks that changes nothing and records what arrives at every site.

namespace trimtab::test {

/// By `blocks.<layer>.<site>`; a row for each head at attn_z.
template <typename T>
using activations = std::map<std::string, host_matrix<T>>;

template <tensor_backend B>
struct recorder {
  using T = typename B::scalar;

  const B* backend;
  activations<T>* notes;

  template <hook_site>
  static constexpr bool has = true;

  template <hook_site>
  static bool active(index_t) {
    return true;
  }
  template <hook_site Site>
  void forward(const B& on, index_t layer, matrix_view<const T> h, matrix_view<T> out) const {
    (*notes)["blocks." + std::to_string(layer) + "." + std::string(Site::text)] = on.download(h);
    on.copy(h, out);
  }
  template <hook_site>
  void backward(index_t, matrix_view<const T>, matrix_view<const T> d_out, matrix_view<T> d_h) const {
    backend->copy(d_out, d_h);
  }
  static index_t lowest_layer() { return 0; }
};

/// What a model does with some prompts, at every position.
template <typename T>
struct recording {
  host_matrix<T> logits = {};
  activations<T> at = {};
};

template <typename Model>
recording<typename Model::scalar> record(const Model& model, std::span<const std::vector<int>> prompts) {
  using B = typename Model::backend_type;
  recording<typename Model::scalar> result;
  const batch<B> rows(model.backend(), model.config(), prompts, scored::all);
  workspace<B> memory(model.backend());
  const auto stream = memory.take(rows.rows(), model.config().width);
  const auto logits = memory.take(rows.rows(), model.config().vocabulary);
  model.embed(rows, stream);
  pass<Model, recorder<B>> run(model, rows, {0, model.config().layers}, {&model.backend(), &result.at});
  run.unembed(run.forward(stream), logits);
  result.logits = model.backend().download(logits);
  return result;
}

}  // namespace trimtab::test
