// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/json/json_text.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// GGUF files, versions 2 and 3 (https://github.com/ggml-org/ggml, docs/gguf.md): "GGUF", a version, the numbers of
/// tensors and of entries, the entries {key, type, value}, the tensors {name, axes, type, offset}, and then the data,
/// each tensor at a multiple of `general.alignment`. Numbers are little-endian. A parsed header has been checked
/// against the size of the file.

namespace trimtab::io {

/// An entry's value: whole numbers of any width as 64 bits; arrays are skipped, as nothing here reads one.
using gguf_value = std::variant<std::monostate, std::uint64_t, std::int64_t, double, bool, std::string>;

/// A tensor's type in the file's own numbering; of the others only the number is known.
enum class gguf_type : std::uint32_t { f32 = 0, f16 = 1, f64 = 28, bf16 = 30 };

struct gguf_tensor {
  gguf_type type = gguf_type::f32;
  std::vector<index_t> shape = {};  ///< the fastest axis first, as the file has it
  std::size_t offset = 0;           ///< of its numbers, from the start of the file
};

struct gguf_header {
  std::map<std::string, gguf_value, std::less<>> entries = {};
  std::map<std::string, gguf_tensor, std::less<>> tensors = {};
};

namespace detail {

[[noreturn]] inline void refuse_gguf(const std::string& file, const std::string& reason) {
  throw error(error_kind::bad_file, "'" + file + "' is not a valid GGUF file: " + reason);
}

/// Reads the header from the beginning of a file.
class gguf_parser {
 public:
  gguf_parser(std::span<const std::byte> beginning, std::size_t file_size, const std::string& file)
      : bytes_(beginning), file_size_(file_size), file_(file) {}

  gguf_header parse() {
    if (bytes_.size() < 4 or std::memcmp(bytes_.data(), "GGUF", 4) != 0) refuse("it does not begin with \"GGUF\"");
    at_ = 4;
    const auto version = number<std::uint32_t>("the version");
    if (version == 0x03000000 or version == 0x02000000) refuse("its numbers are big-endian; write it little-endian");
    if (version != 2 and version != 3) refuse("it has version " + std::to_string(version) + "; expected 2 or 3");
    const auto tensors = count("tensors", 24), entries = count("entries", 13);
    gguf_header header;
    for (std::uint64_t k = 0; k < entries; ++k) {
      auto key = text("a key");
      if (auto value = read_value(key); not header.entries.emplace(key, std::move(value)).second)
        refuse("the key " + abbreviated(key) + " occurs twice");
    }
    for (std::uint64_t k = 0; k < tensors; ++k) {
      auto name = text("a tensor's name");
      if (auto tensor = read_tensor(name); not header.tensors.emplace(name, std::move(tensor)).second)
        refuse("the tensor " + abbreviated(name) + " occurs twice");
    }
    place_tensors(header);
    return header;
  }

 private:
  [[noreturn]] void refuse(const std::string& reason) const { refuse_gguf(file_, reason); }

  std::span<const std::byte> take(std::size_t count, const std::string& what) {
    if (count > bytes_.size() - at_)
      refuse(what + " needs " + std::to_string(count) + " bytes at byte " + std::to_string(at_) + ", but only " +
             std::to_string(bytes_.size() - at_) + " follow; it may be truncated");
    const auto part = bytes_.subspan(at_, count);
    at_ += count;
    return part;
  }
  template <typename T>
  T number(const std::string& what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }
  std::string text(const std::string& what) {
    const auto length = number<std::uint64_t>("the length of " + what);
    const auto part = take(static_cast<std::size_t>(length), what);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  /// How many there are of something that takes at least `least` bytes.
  std::uint64_t count(const std::string& what, std::size_t least) {
    const auto number_of = number<std::uint64_t>("the number of " + what);
    if (number_of > file_size_ / least)
      refuse("it claims " + std::to_string(number_of) + " " + what + ", more than its " + std::to_string(file_size_) +
             " bytes can hold");
    return number_of;
  }

  gguf_value read_value(const std::string& key) {
    const auto what = "the value of " + abbreviated(key);
    return value_of(number<std::uint32_t>("the type of " + abbreviated(key)), what, true);
  }
  gguf_value value_of(std::uint32_t type, const std::string& what, bool may_be_array) {
    switch (type) {
      case 0: return std::uint64_t{number<std::uint8_t>(what)};
      case 1: return std::int64_t{number<std::int8_t>(what)};
      case 2: return std::uint64_t{number<std::uint16_t>(what)};
      case 3: return std::int64_t{number<std::int16_t>(what)};
      case 4: return std::uint64_t{number<std::uint32_t>(what)};
      case 5: return std::int64_t{number<std::int32_t>(what)};
      case 6: return static_cast<double>(number<float>(what));
      case 7: return number<std::uint8_t>(what) != 0;
      case 8: return text(what);
      case 10: return number<std::uint64_t>(what);
      case 11: return number<std::int64_t>(what);
      case 12: return number<double>(what);
      case 9: break;
      default: refuse(what + " has the unknown type " + std::to_string(type));
    }
    const auto of = number<std::uint32_t>(what);
    if (not may_be_array or of == 9) refuse(what + " is an array of arrays, which is not supported");
    const auto elements = number<std::uint64_t>(what);
    if (elements > file_size_)
      refuse(what + " claims " + std::to_string(elements) + " elements, more than its " + std::to_string(file_size_) +
             " bytes can hold");
    for (std::uint64_t k = 0; k < elements; ++k) value_of(of, what, false);
    return {};
  }

  gguf_tensor read_tensor(const std::string& name) {
    const auto what = "the tensor " + abbreviated(name);
    gguf_tensor tensor;
    const auto axes = number<std::uint32_t>(what);
    if (axes > 4) refuse(what + " has " + std::to_string(axes) + " axes; the format allows 4");
    index_t numbers = 1;
    for (std::uint32_t k = 0; k < axes; ++k) {
      const auto extent = number<std::uint64_t>(what);
      if (extent == 0 or
          extent > std::uint64_t{std::numeric_limits<index_t>::max()} / 8 / static_cast<std::uint64_t>(numbers))
        refuse(what + " has an axis of " + std::to_string(extent) + ", with which its size is 0 or too large");
      numbers *= static_cast<index_t>(extent);
      tensor.shape.push_back(static_cast<index_t>(extent));
    }
    tensor.type = static_cast<gguf_type>(number<std::uint32_t>(what));
    const auto offset = number<std::uint64_t>(what);
    if (offset > file_size_) refuse(what + " begins beyond the end of the file, at " + std::to_string(offset));
    tensor.offset = static_cast<std::size_t>(offset);
    return tensor;
  }

  /// Offsets in the file count from the first multiple of the alignment after the header.
  void place_tensors(gguf_header& header) const {
    std::uint64_t alignment = 32;
    if (const auto found = header.entries.find("general.alignment"); found != header.entries.end()) {
      const auto* const given = std::get_if<std::uint64_t>(&found->second);
      if (given == nullptr or *given < 8 or *given > (1u << 20) or not std::has_single_bit(*given))
        refuse("general.alignment should be a power of two from 8 to 2^20");
      alignment = *given;
    }
    const auto data = (at_ + alignment - 1) / alignment * alignment;
    for (auto& [name, tensor] : header.tensors) {
      const auto what = "the tensor " + abbreviated(name);
      if (tensor.offset % alignment != 0)
        refuse(what + " begins at byte " + std::to_string(tensor.offset) + " of the data, which is no multiple of " +
               std::to_string(alignment));
      tensor.offset += data;
      std::size_t size = bytes_of(tensor.type);
      for (const index_t extent : tensor.shape) size *= static_cast<std::size_t>(extent);
      if (tensor.offset > file_size_ or size > file_size_ - tensor.offset)
        refuse(what + " needs " + std::to_string(size) + " bytes from byte " + std::to_string(tensor.offset) +
               " on, but the file has " + std::to_string(file_size_) + "; it may be truncated");
    }
  }
  /// 0 for a type that is packed in blocks.
  static std::size_t bytes_of(gguf_type type) {
    switch (type) {
      case gguf_type::f32: return 4;
      case gguf_type::f16:
      case gguf_type::bf16: return 2;
      case gguf_type::f64: return 8;
    }
    return 0;
  }

  std::span<const std::byte> bytes_;
  std::size_t file_size_, at_ = 0;
  const std::string& file_;
};

}  // namespace detail

/// Reads and checks the header of a file of this size from its beginning. Throws `bad_file`.
inline gguf_header parse_gguf_header(std::span<const std::byte> beginning, std::size_t file_size,
                                     const std::string& file) {
  return detail::gguf_parser(beginning, file_size, file).parse();
}

class gguf_file {
 public:
  /// Opens and checks the file at `path`, whose header may have 64 MiB. Throws `io` and `bad_file`.
  explicit gguf_file(std::filesystem::path path) : file_(std::move(path)), header_(read_header(file_)) {}

  const std::filesystem::path& path() const { return file_.path(); }
  const auto& tensors() const { return header_.tensors; }

  /// The value of an entry; null without one, or for one of another type.
  template <typename T>
  const T* entry(std::string_view key) const {
    const auto found = header_.entries.find(key);
    return found == header_.entries.end() ? nullptr : std::get_if<T>(&found->second);
  }
  bool has(std::string_view key) const { return header_.entries.contains(key); }

  /// The numbers of a tensor of type F32. Throws `io`.
  std::vector<float> read(const gguf_tensor& tensor) const {
    std::size_t size = 1;
    for (const index_t extent : tensor.shape) size *= static_cast<std::size_t>(extent);
    std::vector<float> numbers(size);
    file_.read(tensor.offset, std::as_writable_bytes(std::span(numbers)));
    return numbers;
  }

 private:
  static gguf_header read_header(const input_file& file) {
    std::vector<std::byte> beginning(std::min(file.size(), std::size_t{64} << 20));
    file.read(0, beginning);
    return parse_gguf_header(beginning, file.size(), file.path().string());
  }

  input_file file_;
  gguf_header header_;
};

/// The content of a GGUF file of version 3 with these entries, each a text or a whole number, and tensors of rank 1.
inline std::vector<std::byte> gguf_bytes(
    const std::vector<std::pair<std::string, std::variant<std::string, std::int32_t>>>& entries,
    const std::map<std::string, std::vector<float>>& tensors) {
  constexpr std::size_t alignment = 32;
  std::vector<std::byte> bytes;
  const auto add = [&](std::span<const std::byte> part) { bytes.insert(bytes.end(), part.begin(), part.end()); };
  const auto put = [&](auto number) { add(std::as_bytes(std::span(&number, 1))); };
  const auto put_text = [&](const std::string& text) {
    put(std::uint64_t{text.size()});
    add(std::as_bytes(std::span(text)));
  };
  const auto align = [&] { bytes.resize((bytes.size() + alignment - 1) / alignment * alignment); };
  add(std::as_bytes(std::span("GGUF", 4)));
  put(std::uint32_t{3});
  put(std::uint64_t{tensors.size()});
  put(std::uint64_t{entries.size()});
  for (const auto& [key, value] : entries) {
    put_text(key);
    if (const auto* const text = std::get_if<std::string>(&value)) {
      put(std::uint32_t{8});
      put_text(*text);
    } else {
      put(std::uint32_t{5});
      put(std::get<std::int32_t>(value));
    }
  }
  std::size_t offset = 0;
  for (const auto& [name, numbers] : tensors) {
    put_text(name);
    put(std::uint32_t{1});
    put(std::uint64_t{numbers.size()});
    put(static_cast<std::uint32_t>(gguf_type::f32));
    put(std::uint64_t{offset});
    offset += (numbers.size() * sizeof(float) + alignment - 1) / alignment * alignment;
  }
  for (const auto& [name, numbers] : tensors) {
    align();
    add(std::as_bytes(std::span(numbers)));
  }
  align();
  return bytes;
}

}  // namespace trimtab::io
