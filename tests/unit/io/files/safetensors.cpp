// SPDX-License-Identifier: Apache-2.0

#include <trimtab/check/dual.hpp>
#include <trimtab/io/files/safetensors.hpp>

#include "support/assets.hpp"
#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/stored_model.hpp"
#include "support/temporary_folder.hpp"

#include <cmath>
#include <complex>

namespace trimtab::test::safetensors_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// A file with this header and `size` bytes of data.
std::string raw_file(const std::string& header, std::size_t size, const std::string& data = "") {
  const auto length = std::uint64_t{header.size()};
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data +
         std::string(size - data.size(), '\0');
}

template <typename T>
host_matrix<T> row_of(std::vector<T> values) {
  auto result = host_matrix<T>(1, static_cast<index_t>(values.size()));
  result.values = std::move(values);
  return result;
}

}  // namespace

TEST_CASE("Shapes are shown whole, unless they have very many axes") {
  CHECK(io::shape_text({}) == "[]");
  CHECK(io::shape_text({2, 3}) == "[2, 3]");
  CHECK(io::shape_text({1, 2, 3, 4, 5, 6, 7, 8}) == "[1, 2, 3, 4, 5, 6, 7, 8]");
  CHECK(io::shape_text(std::vector<index_t>(1000, 1)) == "[1, 1, 1, 1, 1, 1, 1, 1, ...]");
}

TEST_CASE("What is written is read back: names, shapes, numbers, metadata") {
  const auto folder = temporary_folder();
  const auto path = folder.path() / "a.safetensors";
  auto matrix = host_matrix<float>(2, 3);
  matrix.values = {1, 2.5f, -0.0f, 1e-45f, 3e38f, 0.1f};
  io::write_safetensors(path,
                        {{"odd", io::store(row_of<float>({1, 2, 3}), {3})},
                         {"m \"é\n", io::store(matrix)},
                         {"cube", io::store(matrix, {1, 2, 3})},
                         {"scalar", io::store(row_of<double>({0.1}), {})},
                         {"none", io::store(host_matrix<double>(0, 4))}},
                        {{"format", "test"}, {"empty", ""}});
  const auto file = io::safetensors_file(path);
  CHECK(file.metadata().at("format") == "test");
  CHECK(file.metadata().at("empty").empty());
  CHECK(file.tensors().size() == 5);
  CHECK(file.read<float>("m \"é\n").values == matrix.values);
  CHECK(file.read<double>("scalar").values == std::vector{0.1});
  CHECK(file.shape("scalar").empty());
  CHECK(file.read<double>("scalar").rows == 1);
  CHECK(file.shape("cube") == std::vector<index_t>{1, 2, 3});
  CHECK(file.read<double>("cube").rows == 2);
  CHECK(file.read<double>("cube")(1, 2) == static_cast<double>(0.1f));
  CHECK(file.read<float>("odd").cols == 3);
  CHECK(file.read<float>("none").empty());
  CHECK(file.shape("none") == std::vector<index_t>{0, 4});
  CHECK(file.contains("odd"));
  CHECK_FALSE(file.contains("even"));
  CHECK_THAT(refusal(error_kind::bad_file, [&] { file.read<float>("even"); }),
             ContainsSubstring("a.safetensors' holds no tensor 'even'"));
}

TEST_CASE("The same tensors give the same bytes, aligned as the format's own library aligns them") {
  const auto bytes = io::safetensors_bytes({{"b", io::store(row_of<float>({1}), {1})},
                                            {"a", io::store(row_of<float>({2}), {1})},
                                            {"c", io::store(row_of<double>({3}), {1})}});
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  CHECK(length % 8 == 0);
  const auto text = std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  CHECK_THAT(text, ContainsSubstring(R"("c":{"data_offsets":[0,8],"dtype":"F64","shape":[1]})"));
  CHECK_THAT(text, ContainsSubstring(R"("a":{"data_offsets":[8,12])"));
  CHECK_THAT(text, ContainsSubstring(R"("b":{"data_offsets":[12,16])"));
}

TEST_CASE("Empty files of tensors are files") {
  const auto folder = temporary_folder();
  CHECK(io::safetensors_file(folder.file("a", raw_file("{}", 0))).tensors().empty());
  CHECK(io::safetensors_file(folder.file("b", raw_file("{\"__metadata__\": {}}   ", 0))).metadata().empty());
  io::write_safetensors(folder.path() / "c", {});
  CHECK(io::safetensors_file(folder.path() / "c").tensors().empty());
}

TEST_CASE("Numbers of every dtype are converted, from any address") {
  const auto folder = temporary_folder();
  const auto numbers = [&](const std::string& dtype, const std::string& data, index_t count) {
    // After a U8 tensor and a header of odd length, nothing is aligned.
    const auto end = std::to_string(1 + data.size());
    auto header = R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":")" + dtype + R"(","shape":[)" +
                  std::to_string(count) + R"(],"data_offsets":[1,)" + end + "]}}";
    if (header.size() % 2 == 0) header += ' ';
    const auto path = folder.file("t", raw_file(header, 1 + data.size(), "\1" + data));
    const auto file = io::safetensors_file(path);
    const auto values = file.read<double>("t").values;
    const auto floats = file.read<float>("t").values;
    const auto complex = file.read<std::complex<double>>("t").values;
    const auto steps = file.read<dual>("t").values;
    for (std::size_t i = 0; i < values.size(); ++i) {
      CHECK(floats[i] == static_cast<float>(values[i]));
      CHECK(complex[i] == values[i]);
      CHECK(steps[i].real == values[i]);
    }
    return values;
  };
  using list = std::vector<double>;
  CHECK(numbers("F64", std::string("\0\0\0\0\0\0\xf8\x3f\x9a\x99\x99\x99\x99\x99\xb9\x3f", 16), 2) == list{1.5, 0.1});
  CHECK(numbers("F32", std::string("\0\0\xc0\x3f\0\0\0\x80", 8), 2) == list{1.5, -0.0});
  CHECK(numbers("F16", std::string("\0\x3e\0\xc0\1\0", 6), 3) == list{1.5, -2, 0x1p-24});
  CHECK(numbers("BF16", std::string("\xc0\x3f\0\xc0", 4), 2) == list{1.5, -2});
  CHECK(numbers("I64", std::string("\xfe\xff\xff\xff\xff\xff\xff\xff", 8), 1) == list{-2});
  CHECK(numbers("U64", std::string("\0\0\0\0\0\0\0\x80", 8), 1) == list{0x1p63});
  CHECK(numbers("I32", std::string("\xfe\xff\xff\xff", 4), 1) == list{-2});
  CHECK(numbers("U32", std::string("\xfe\xff\xff\xff", 4), 1) == list{4294967294.0});
  CHECK(numbers("I16", "\xfe\xff", 1) == list{-2});
  CHECK(numbers("U16", "\xfe\xff", 1) == list{65534});
  CHECK(numbers("I8", "\xfe\x7f", 2) == list{-2, 127});
  CHECK(numbers("U8", "\xfe\x7f", 2) == list{254, 127});
  CHECK(numbers("BOOL", std::string("\1\0", 2), 2) == list{1, 0});
  CHECK_THAT(refusal(error_kind::bad_file, [&] { numbers("F8_E4M3", "\1", 1); }),
             ContainsSubstring("tensor 't' of") and ContainsSubstring("F8_E4M3, which cannot be read as numbers"));
}

TEST_CASE("Infinities and NaN are refused with their place unless they are allowed") {
  const auto folder = temporary_folder();
  const auto path = folder.path() / "t.safetensors";
  auto cube = host_matrix<double>(4, 3);
  cube(2, 1) = std::nan("");
  auto wide = row_of<double>({1, 2, -HUGE_VAL});
  io::write_safetensors(path, {{"cube", io::store(cube, {2, 2, 3})},
                               {"wide", io::store(wide)},
                               {"scalar", io::store(row_of<float>({HUGE_VALF}), {})},
                               {"double", io::store(row_of<double>({1, 1e300}), {2})},
                               {"half", store_as(io::dtype::bf16, row_of<float>({1, HUGE_VALF}), {2})}});
  const auto file = io::safetensors_file(path);
  const auto said = [&](const std::string& name) {
    return refusal(error_kind::bad_file, [&] { file.read<float>(name); });
  };
  CHECK_THAT(said("cube"), ContainsSubstring("tensor 'cube' of '") and
                               ContainsSubstring("holds a number that is not finite at [1, 0, 1]"));
  CHECK_THAT(said("wide"), ContainsSubstring("at [0, 2]"));
  CHECK_THAT(said("half"), ContainsSubstring("at [1]"));
  CHECK_THAT(said("scalar"), ContainsSubstring("at []"));
  CHECK_THAT(said("double"), ContainsSubstring("at [1]"));  // too large for float only
  CHECK(file.read<double>("double").values[1] == 1e300);
  CHECK_THAT(refusal(error_kind::bad_file, [&] { file.read<std::complex<double>>("wide"); }),
             ContainsSubstring("at [0, 2]"));
  CHECK(std::isnan(file.read<double>("cube", io::non_finite::allow)(2, 1)));
  CHECK(std::isinf(file.read<float>("wide", io::non_finite::allow)(0, 2)));
}

TEST_CASE("A file that shrinks after it was opened is refused when its tensors are read") {
  const auto folder = temporary_folder();
  const auto path = folder.path() / "t.safetensors";
  io::write_safetensors(path, {{"a", io::store(host_matrix<double>(300, 300))}, {"b", io::store(row_of<double>({7}))}});
  const auto file = io::safetensors_file(path);
  std::filesystem::resize_file(path, 50'000);
  for (const auto& said :
       {refusal(error_kind::io, [&] { file.read<float>("a"); }), refusal(error_kind::io, [&] { file.bytes("a"); })})
    CHECK_THAT(said, ContainsSubstring("t.safetensors' ended at byte 50000 while it was read"));
  CHECK_THAT(refusal(error_kind::io, [&] { file.read<float>("b"); }), ContainsSubstring("ended at byte 72"));
}

TEST_CASE("Tensors of many pieces are read whole") {
  const auto folder = temporary_folder();
  const auto path = folder.path() / "t.safetensors";
  auto matrix = host_matrix<double>(300, 301);
  for (std::size_t i = 0; i < matrix.values.size(); ++i) matrix.values[i] = static_cast<double>(i);
  io::write_safetensors(path, {{"a", io::store(matrix)}});
  CHECK(io::safetensors_file(path).read<double>("a").values == matrix.values);
  matrix.values.back() = HUGE_VAL;
  io::write_safetensors(path, {{"a", io::store(matrix)}});
  CHECK_THAT(refusal(error_kind::bad_file, [&] { io::safetensors_file(path).read<float>("a"); }),
             ContainsSubstring("at [299, 300]"));
}

TEST_CASE("Metadata that are null are none, and tensors may be scalar or empty wherever they lie") {
  const auto folder = temporary_folder();
  const auto file = io::safetensors_file(
      folder.file("t", raw_file(R"({"__metadata__":null,"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                                R"("b":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                                R"("c":{"dtype":"F16","shape":[2,0],"data_offsets":[4,4]},)"
                                R"("d":{"dtype":"U8","shape":[1],"data_offsets":[4,5]},)"
                                R"("e":{"dtype":"F8_E4M3","shape":[0,7],"data_offsets":[5,5]}})",
                                5)));
  CHECK(file.metadata().empty());
  CHECK(file.read<float>("a").values == std::vector<float>{0});
  for (const auto name : {"b", "c"}) CHECK(file.read<float>(name).values.empty());
  CHECK(file.bytes("e").empty());
}

TEST_CASE("Malformed files are refused, each with its sentence") {
  const auto folder = temporary_folder();
  const auto tensor = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"t":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
           R"(},"u":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}";
  };
  const auto entry = [](const std::string& text) { return R"({"t":)" + text + "}"; };
  const auto good = raw_file(tensor("\"U8\"", "[4]", "[0,4]"), 4);
  REQUIRE(io::safetensors_file(folder.file("good", good)).tensors().size() == 1);
  const auto header_of_length = [](std::uint64_t length) {
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + "{}";
  };
  struct {
    std::string content, sentence;
  } const table[] = {
      // The frame.
      {"", "it has 0 bytes, too few for any header"},
      {"1234567", "it has 7 bytes"},
      {header_of_length(3), "claims 3 bytes, but only 2 follow; it may be truncated"},
      {header_of_length(100'000'001), "claims 100000001 bytes, the format allows 100000000"},
      {header_of_length(0xffffffffffffffff), "claims 18446744073709551615 bytes, the format allows"},
      {header_of_length(0xfffffffffffffff8), "the format allows"},
      {header_of_length(0), "does not start with '{'"},
      {raw_file(" {}", 0), "does not start with '{'"},
      {raw_file("[]", 0), "does not start with '{'"},
      {raw_file("{\"t\":", 0), "not valid JSON: parse error at line 1, column 6"},
      {raw_file("{} x", 0), "not valid JSON"},
      {raw_file(std::string("{}\0", 3), 0), "byte 2 is NUL"},
      {raw_file("{\"\xff\":{}}", 0), "ill-formed UTF-8"},
      {raw_file("{\"a\":" + std::string(100'000, '['), 0), "nested deeper"},
      {raw_file(
           R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
           0),
       "the key \"t\" occurs twice"},
      {raw_file(R"({"t":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}})", 4),
       "the key \"shape\" occurs twice"},
      // Metadata.
      {raw_file(R"({"__metadata__":[]})", 0), "__metadata__ should be an object, found []"},
      {raw_file(R"({"__metadata__":{"n":1}})", 0), "the metadata \"n\" should be a string, found 1"},
      {raw_file(R"({"__metadata__":{"n":{"x":"y"}}})", 0), "the metadata \"n\" should be a string"},
      {raw_file(R"({"__metadata__":{},"__metadata__":{}})", 0), "occurs twice"},
      // One tensor's description.
      {raw_file(entry("[]"), 0), "tensor \"t\" should be described by an object, found []"},
      {raw_file(entry("null"), 0), "tensor \"t\" should be described by an object, found null"},
      {raw_file(entry(R"({"shape":[4],"data_offsets":[0,4]})"), 4), "tensor \"t\" lacks \"dtype\""},
      {raw_file(entry(R"({"dtype":"U8","data_offsets":[0,4]})"), 4), "tensor \"t\" lacks \"shape\""},
      {raw_file(entry(R"({"dtype":"U8","shape":[4]})"), 4), "tensor \"t\" lacks \"data_offsets\""},
      {raw_file(entry(R"({"dtype":"U8","shape":[4],"data_offsets":[0,4],"strides":[1]})"), 4),
       "unknown entry \"strides\""},
      {raw_file(tensor("\"Q4\"", "[4]", "[0,4]"), 4), "has dtype \"Q4\"; expected one of F64, F32, F16"},
      {raw_file(tensor("\"f32\"", "[1]", "[0,4]"), 4), "has dtype \"f32\"; expected one of"},
      {raw_file(tensor("1", "[4]", "[0,4]"), 4), "has dtype 1; expected one of"},
      {raw_file(tensor("\"U8\"", "4", "[0,4]"), 4), "a list of whole numbers as \"shape\", found 4"},
      {raw_file(tensor("\"U8\"", "[-4]", "[0,4]"), 4), "a list of whole numbers as \"shape\", found [-4]"},
      {raw_file(tensor("\"U8\"", "[4.0]", "[0,4]"), 4), "a list of whole numbers as \"shape\", found [4.0]"},
      {raw_file(tensor("\"U8\"", "[\"4\"]", "[0,4]"), 4), "a list of whole numbers as \"shape\""},
      {raw_file(tensor("\"U8\"", "[[4]]", "[0,4]"), 4), "a list of whole numbers as \"shape\""},
      {raw_file(tensor("\"U8\"", "[9223372036854775808]", "[0,4]"), 4), "a list of whole numbers as \"shape\""},
      {raw_file(tensor("\"U8\"", "[36893488147419103236]", "[0,4]"), 4), "a list of whole numbers as \"shape\""},
      {raw_file(tensor("\"U8\"", "[4294967296,4294967296]", "[0,0]"), 0),
       "that is too large: [4294967296, 4294967296]"},
      {raw_file(tensor("\"F64\"", "[2305843009213693952]", "[0,0]"), 0), "that is too large"},
      {raw_file(tensor("\"U8\"", "[4294967296,4294967296,0]", "[0,0]"), 0), "that is too large"},
      {raw_file(tensor("\"F32\"", "[3]", "[0,4]"), 4),
       "of shape [3] and dtype F32 needs 12 bytes, but its data_offsets hold 4"},
      {raw_file(tensor("\"F32\"", "[]", "[0,0]"), 0), "of shape [] and dtype F32 needs 4 bytes"},
      {raw_file(tensor("\"F32\"", "[0]", "[0,4]"), 4), "of shape [0] and dtype F32 needs 0 bytes"},
      // Offsets.
      {raw_file(tensor("\"U8\"", "[4]", "[0]"), 4), "should have two \"data_offsets\", found [0]"},
      {raw_file(tensor("\"U8\"", "[4]", "[0,4,8]"), 4), "should have two \"data_offsets\""},
      {raw_file(tensor("\"U8\"", "[4]", "{\"0\":4}"), 4), "a list of whole numbers as \"data_offsets\""},
      {raw_file(tensor("\"U8\"", "[4]", "[-4,0]"), 4), "a list of whole numbers as \"data_offsets\", found [-4,0]"},
      {raw_file(tensor("\"U8\"", "[4]", "[4,0]"), 4), "ends before it begins: data_offsets [4, 0]"},
      {raw_file(tensor("\"U8\"", "[4]", "[18446744073709551612,0]"), 4), "a list of whole numbers as \"data_offsets\""},
      {raw_file(tensor("\"U8\"", "[4]", "[0,4]"), 3),
       "ends at byte 4 of the data, but the file holds only 3; it may be truncated"},
      {raw_file(tensor("\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]"), 3), "but the file holds only 3"},
      {raw_file(tensor("\"U8\"", "[4]", "[2,6]"), 6),
       "begins at byte 2 of the data, but the tensor before it ends at 0"},
      {raw_file(tensor("\"U8\"", "[4]", "[0,4]"), 6), "2 bytes after the last tensor belong to no tensor"},
      {raw_file("{}", 1), "1 bytes after the last tensor"},
      {raw_file(two("[0,4]", "[2,6]"), 6),
       "\"u\" begins at byte 2 of the data, inside the tensor before it, which ends at 4"},
      {raw_file(two("[0,4]", "[0,4]"), 4), "\"u\" begins at byte 0 of the data, inside"},
      {raw_file(two("[5,9]", "[0,4]"), 9), "\"t\" begins at byte 5 of the data, but the tensor before it ends at 4"},
      {raw_file(two("[4,8]", "[0,4]"), 7), "\"t\" ends at byte 8 of the data"},
  };
  for (const auto& [content, sentence] : table) {
    const auto path = folder.file("bad.safetensors", content);
    const auto said = refusal(error_kind::bad_file, [&] { io::safetensors_file{path}; });
    CHECK_THAT(said, ContainsSubstring(path.string()));
    CHECK_THAT(said, ContainsSubstring(sentence));
    CHECK(said.size() < 400);
  }
  // Every truncated file is refused, and so is every change of one bit in the header, unless the file is still
  // consistent.
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_THROWS_AS(io::safetensors_file(folder.file("cut", good.substr(0, size))), error);
  for (std::size_t bit = 0; bit < 8 * (good.size() - 4); ++bit) {
    auto changed = good;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    try {
      const auto file = io::safetensors_file(folder.file("changed", changed));
      for (const auto& [name, place] : file.tensors()) CHECK(file.bytes(name).size() <= 4);
    } catch (const error& problem) {
      if (problem.kind() != error_kind::bad_file) FAIL("bit " << bit << ": " << problem.what());
    }
  }
}

TEST_CASE("A real file has the values that Python reads from it") {
  const auto path = asset("nano-sort/activations.safetensors");
  if (not path) {
    WARN(missing_asset("nano-sort/activations.safetensors"));
    return;
  }
  const auto file = io::safetensors_file(*path);
  CHECK(file.tensors().size() == 23);
  CHECK(file.metadata().at("licence") == "MIT");
  const auto ids = file.read<double>("input_ids");
  CHECK(ids.rows == 3);
  CHECK(std::vector(ids.values.begin(), ids.values.begin() + 6) == std::vector<double>{0, 0, 2, 1, 0, 1});
  CHECK(file.shape("blocks.0.q") == std::vector<index_t>{3, 11, 3, 16});
  CHECK(file.read<float>("blocks.0.q").rows == 99);
  CHECK(file.read<double>("logits")(5, 2) == -2.952842950820923);
  CHECK_THAT(refusal(error_kind::bad_file, [&] { file.read<float>("blocks.0.attn_scores"); }),
             ContainsSubstring("not finite at [0, 0, 0, 1]"));
}

}  // namespace trimtab::test::safetensors_tests
