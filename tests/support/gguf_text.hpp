// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// Writes GGUF files by hand, also invalid ones.

namespace trimtab::test {

class gguf_text {
 public:
  explicit gguf_text(std::uint32_t version = 3) : version_(version) {}

  template <typename T>
  static std::string bytes(T number) {
    return {reinterpret_cast<const char*>(&number), sizeof number};
  }
  static std::string sized(const std::string& text) { return bytes(std::uint64_t{text.size()}) + text; }

  template <typename T>
  gguf_text& entry(const std::string& key, std::uint32_t type, T value) {
    return raw_entry(sized(key) + bytes(type) + bytes(value));
  }
  gguf_text& entry(const std::string& key, const std::string& value) {
    return raw_entry(sized(key) + bytes(std::uint32_t{8}) + sized(value));
  }
  gguf_text& array(const std::string& key, std::uint32_t of, std::uint64_t count, const std::string& elements) {
    return raw_entry(sized(key) + bytes(std::uint32_t{9}) + bytes(of) + bytes(count) + elements);
  }
  gguf_text& raw_entry(const std::string& content) {
    entries_ += content;
    ++entry_count_;
    return *this;
  }
  /// A tensor; the data of all of them are 32 bytes, each number 1.
  gguf_text& tensor(const std::string& name, const std::vector<std::uint64_t>& shape, std::uint32_t type = 0,
                    std::uint64_t offset = 0) {
    tensors_ += sized(name) + bytes(static_cast<std::uint32_t>(shape.size()));
    for (const auto extent : shape) tensors_ += bytes(extent);
    tensors_ += bytes(type) + bytes(offset);
    ++tensor_count_;
    return *this;
  }

  std::string claiming(std::uint64_t tensors, std::uint64_t entries) const {
    return "GGUF" + bytes(version_) + bytes(tensors) + bytes(entries) + entries_ + tensors_;
  }
  std::string content() const {
    auto all = claiming(tensor_count_, entry_count_);
    const bool aligns_to_64 = entries_.find("general.alignment") != entries_.npos;
    const std::size_t alignment = aligns_to_64 ? 64 : 32;
    if (tensor_count_ > 0) all.resize((all.size() + alignment - 1) / alignment * alignment);
    for (int k = 0; k < 8 and tensor_count_ > 0; ++k) all += bytes(1.0f);
    return all;
  }

 private:
  std::uint32_t version_;
  std::string entries_ = {}, tensors_ = {};
  std::uint64_t entry_count_ = 0, tensor_count_ = 0;
};

}  // namespace trimtab::test
