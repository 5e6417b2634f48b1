// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/model/workspace.hpp>
#include <trimtab/steer/parameter_layout.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// The parameters of all replicas of a pass in a backend's memory: [intervention][layer][replica][record]. The records
/// of one layer lie together, so that a row's offset is the same in every layer; each replica has as many positions as
/// its prompts need.

namespace trimtab {

template <tensor_backend B>
class replica_storage {
 public:
  using T = typename B::scalar;

  /// The layouts may differ only in positions. Throws `bad_argument` for 2^31 parameters or more.
  replica_storage(const B& backend, std::vector<parameter_layout> layouts);

  index_t replicas() const { return static_cast<index_t>(layouts_.size()); }
  const parameter_layout& layout(index_t replica) const { return layouts_[static_cast<std::size_t>(replica)]; }
  const std::vector<parameter_layout>& layouts() const { return layouts_; }
  /// The number of parameters of all replicas, at least 1.
  index_t size() const { return std::max<index_t>(1, size_); }

  /// The offset of intervention k's records in a layer; -1 if it is not in the layer.
  index_t layer_offset(std::size_t k, index_t layer) const {
    const index_t number = layouts_.front().blocks[k].layer_number(layer);
    return number < 0 ? -1 : blocks_[k].begin + number * blocks_[k].records_per_layer * blocks_[k].record_size;
  }
  /// The offset of a replica's records within a layer.
  index_t replica_offset(std::size_t k, index_t replica) const {
    return blocks_[k].first_record[static_cast<std::size_t>(replica)] * blocks_[k].record_size;
  }

  /// Intervention k's records of all layers and replicas in `memory`, one per row.
  matrix_view<T> records(std::size_t k, matrix_view<T> memory) const {
    return {memory.data + blocks_[k].begin, record_count(k), blocks_[k].record_size};
  }
  /// The replica of each of those rows.
  std::vector<int> replica_of_records(std::size_t k) const;

  /// f(intervention, offset, number of records, record size) for each run of a replica's records that lie together.
  template <typename F>
  void each_records(index_t replica, F f) const {
    for (std::size_t k = 0; k < blocks_.size(); ++k) {
      const parameter_block& block = layout(replica).blocks[k];
      if (replicas() == 1) {
        f(k, blocks_[k].begin, block.records(), block.record_size);
        continue;
      }
      for (index_t layer : block.layers)
        f(k, layer_offset(k, layer) + replica_offset(k, replica), block.records_per_layer(), block.record_size);
    }
  }

  /// Copies one replica's θ out of `all`, both in host memory.
  template <typename Number>
  void gather(std::span<const Number> all, index_t replica, std::vector<double>& theta) const {
    theta.resize(static_cast<std::size_t>(layout(replica).size()));
    each_run(replica, [&](index_t here, index_t there, index_t count) {
      std::copy_n(all.begin() + there, count, theta.begin() + here);
    });
  }
  /// Copies one replica's θ into `all`.
  void scatter(std::span<const double> theta, index_t replica, std::span<T> all) const;

  /// Copies the parameters of every replica to the backend; `theta(r)` is a span of doubles.
  template <typename Theta>
  void upload(Theta theta, matrix_view<T> to) const {
    host_matrix<T> host(1, size());
    for (index_t r = 0; r < replicas(); ++r) scatter(theta(r), r, host.values);
    const auto there = backend_->upload(std::as_const(host).view());
    backend_->copy(there.view(1, size()), to);
  }

 private:
  struct placed {
    index_t begin = 0;
    index_t record_size = 0;
    index_t records_per_layer = 0;
    std::vector<index_t> first_record = {};  ///< by replica, in each layer
  };

  index_t record_count(std::size_t k) const {
    return static_cast<index_t>(layouts_.front().blocks[k].layers.size()) * blocks_[k].records_per_layer;
  }

  /// f(offset in the replica's θ, offset in the memory of all, count) for each layer of each intervention.
  template <typename F>
  void each_run(index_t replica, F f) const {
    for (std::size_t k = 0; k < blocks_.size(); ++k) {
      const parameter_block& block = layout(replica).blocks[k];
      const index_t count = block.records_per_layer() * block.record_size;
      for (std::size_t layer = 0; layer < block.layers.size(); ++layer)
        f(block.offset + static_cast<index_t>(layer) * count,
          layer_offset(k, block.layers[layer]) + replica_offset(k, replica), count);
    }
  }

  const B* backend_;
  std::vector<parameter_layout> layouts_;
  std::vector<placed> blocks_ = {};
  index_t size_ = 0;
};

template <tensor_backend B>
replica_storage<B>::replica_storage(const B& backend, std::vector<parameter_layout> layouts)
    : backend_(&backend), layouts_(std::move(layouts)) {
  assert(not layouts_.empty());
  const std::size_t interventions = layouts_.front().blocks.size();
  for (std::size_t k = 0; k < interventions; ++k) {
    const parameter_block& first = layouts_.front().blocks[k];
    placed one{.begin = size_, .record_size = first.record_size};
    for (const parameter_layout& layout : layouts_) {
      assert(layout.blocks[k].layers == first.layers);
      one.first_record.push_back(one.records_per_layer);
      one.records_per_layer += layout.blocks[k].records_per_layer();
    }
    size_ += static_cast<index_t>(first.layers.size()) * one.records_per_layer * one.record_size;
    blocks_.push_back(std::move(one));
  }
  if (size_ > std::numeric_limits<int>::max())
    throw error(error_kind::bad_argument, std::to_string(layouts_.size()) + " fits have " + std::to_string(size_) +
                                              " parameters together, more than one pass can hold; fit fewer at once");
}

template <tensor_backend B>
std::vector<int> replica_storage<B>::replica_of_records(std::size_t k) const {
  std::vector<int> replicas;
  for (std::size_t layer = 0; layer < layouts_.front().blocks[k].layers.size(); ++layer)
    for (std::size_t r = 0; r < layouts_.size(); ++r)
      replicas.insert(replicas.end(), static_cast<std::size_t>(layouts_[r].blocks[k].records_per_layer()),
                      static_cast<int>(r));
  return replicas;
}

template <tensor_backend B>
void replica_storage<B>::scatter(std::span<const double> theta, index_t replica, std::span<T> all) const {
  each_run(replica, [&](index_t here, index_t there, index_t count) {
    std::transform(theta.begin() + here, theta.begin() + here + count, all.begin() + there,
                   [](double x) { return static_cast<T>(x); });
  });
}

}  // namespace trimtab
