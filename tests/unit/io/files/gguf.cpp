// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/files/gguf.hpp>

#include "support/catch.hpp"
#include "support/gguf_text.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

namespace trimtab::test::gguf_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

io::gguf_header parsed(const std::string& content) {
  return io::parse_gguf_header(std::as_bytes(std::span(content)), content.size(), "f.gguf");
}

std::string refused(const std::string& content) {
  const auto why = refusal(error_kind::bad_file, [&] { parsed(content); });
  CHECK_THAT(why, Catch::Matchers::StartsWith("'f.gguf' is not a valid GGUF file: "));
  CHECK(why.size() < 400);
  return why;
}

}  // namespace

TEST_CASE("A GGUF file that was written is read, with every entry and number") {
  const auto bytes = io::gguf_bytes({{"general.architecture", "controlvector"}, {"n", -3}},
                                    {{"direction.2", {1.5f, -2.0f, 0.25f}}, {"direction.10", {7.0f}}});
  const temporary_folder folder;
  const auto path = folder.file("v.gguf", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const io::gguf_file file(path);
  REQUIRE(file.entry<std::string>("general.architecture") != nullptr);
  CHECK(*file.entry<std::string>("general.architecture") == "controlvector");
  CHECK(*file.entry<std::int64_t>("n") == -3);
  CHECK(file.entry<double>("n") == nullptr);
  CHECK(file.entry<std::string>("none") == nullptr);
  CHECK(file.tensors().size() == 2);
  CHECK(file.tensors().at("direction.2").shape == std::vector<index_t>{3});
  CHECK(file.read(file.tensors().at("direction.2")) == std::vector{1.5f, -2.0f, 0.25f});
  CHECK(file.read(file.tensors().at("direction.10")) == std::vector{7.0f});
  for (const auto& [name, tensor] : file.tensors()) CHECK(tensor.offset % 32 == 0);
}

TEST_CASE("Entries of every type are read or skipped") {
  const auto header = parsed(gguf_text{}
                                 .entry("u8", 0, std::uint8_t{200})
                                 .entry("i8", 1, std::int8_t{-5})
                                 .entry("u16", 2, std::uint16_t{60000})
                                 .entry("i16", 3, std::int16_t{-300})
                                 .entry("u32", 4, std::uint32_t{4000000000})
                                 .entry("i32", 5, std::int32_t{-7})
                                 .entry("f32", 6, 0.5f)
                                 .entry("bool", 7, std::uint8_t{1})
                                 .entry("text", "caf\xc3\xa9")
                                 .array("list", 5, 3, std::string(12, 'x'))
                                 .array("texts", 8, 2, gguf_text::sized("a") + gguf_text::sized("bc"))
                                 .entry("u64", 10, std::uint64_t{1} << 60)
                                 .entry("i64", 11, std::int64_t{-9})
                                 .entry("f64", 12, 0.1)
                                 .content());
  const auto is = [&](const char* key, io::gguf_value value) { CHECK(header.entries.at(key) == value); };
  is("u8", std::uint64_t{200});
  is("i8", std::int64_t{-5});
  is("u16", std::uint64_t{60000});
  is("i16", std::int64_t{-300});
  is("u32", std::uint64_t{4000000000});
  is("i32", std::int64_t{-7});
  is("f32", 0.5);
  is("bool", true);
  is("text", std::string("caf\xc3\xa9"));
  is("list", {});
  is("texts", {});
  is("u64", std::uint64_t{1} << 60);
  is("i64", std::int64_t{-9});
  is("f64", 0.1);
}

TEST_CASE("Versions, alignments and tensors of other types are read as files have them") {
  CHECK(parsed(gguf_text{2}.content()).entries.empty());
  const auto aligned =
      parsed(gguf_text{}.entry("general.alignment", 4, std::uint32_t{64}).tensor("a", {2, 3}).content());
  CHECK(aligned.tensors.at("a").offset % 64 == 0);
  CHECK(aligned.tensors.at("a").shape == std::vector<index_t>{2, 3});
  CHECK(parsed(gguf_text{}.tensor("packed", {32}, 2).content()).tensors.at("packed").type == io::gguf_type{2});
}

TEST_CASE("Hostile GGUF files are refused by name") {
  const auto good =
      gguf_text{}.entry("general.architecture", "x").entry("n", 4, std::uint32_t{1}).tensor("t", {8}).content();
  CHECK(parsed(good).tensors.size() == 1);
  for (std::size_t length = 0; length < good.size(); ++length) refused(good.substr(0, length));

  CHECK_THAT(refused("GGML" + good.substr(4)), ContainsSubstring("does not begin with \"GGUF\""));
  CHECK_THAT(refused(gguf_text{1}.content()), ContainsSubstring("version 1; expected 2 or 3"));
  CHECK_THAT(refused(gguf_text{0x03000000}.content()), ContainsSubstring("big-endian"));
  CHECK_THAT(refused(gguf_text{}.claiming(std::uint64_t{1} << 63, 0)),
             ContainsSubstring("9223372036854775808 tensors"));
  CHECK_THAT(refused(gguf_text{}.claiming(0, std::uint64_t{1} << 40)), ContainsSubstring("1099511627776 entries"));
  CHECK_THAT(refused(gguf_text{}.entry("a", 13, std::uint32_t{1}).content()), ContainsSubstring("unknown type 13"));
  CHECK_THAT(refused(gguf_text{}.entry("a", "1").entry("a", "2").content()), ContainsSubstring("\"a\" occurs twice"));
  CHECK_THAT(refused(gguf_text{}.tensor("a", {1}).tensor("a", {1}).content()),
             ContainsSubstring("tensor \"a\" occurs twice"));
  CHECK_THAT(refused(gguf_text{}.array("a", 9, 1, std::string(12, '\0')).content()),
             ContainsSubstring("array of arrays"));
  CHECK_THAT(refused(gguf_text{}.array("a", 5, std::uint64_t{1} << 62, "").content()),
             ContainsSubstring("claims 4611686018427387904 elements"));
  CHECK_THAT(refused(gguf_text{}.array("a", 8, 2, gguf_text::sized("x")).content()),
             ContainsSubstring("may be truncated"));
  const std::string long_text("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
  CHECK_THAT(refused(gguf_text{}.raw_entry(long_text + "abcdefgh").content()),
             ContainsSubstring("a key needs 18446744073709551615 bytes"));
  CHECK_THAT(refused(gguf_text{}.tensor("t", {1, 1, 1, 1, 1}).content()), ContainsSubstring("5 axes"));
  CHECK_THAT(refused(gguf_text{}.tensor("t", {std::uint64_t{1} << 33, std::uint64_t{1} << 33}).content()),
             ContainsSubstring("too large"));
  CHECK_THAT(refused(gguf_text{}.tensor("t", {~std::uint64_t{0}}).content()), ContainsSubstring("too large"));
  CHECK_THAT(refused(gguf_text{}.tensor("t", {3, 0}).content()), ContainsSubstring("its size is 0"));
  CHECK_THAT(refused(gguf_text{}.tensor("t", {1u << 20}).content()), ContainsSubstring("may be truncated"));
  CHECK_THAT(refused(gguf_text{}.tensor("t", {4}, 0, 4).content()), ContainsSubstring("no multiple of 32"));
  CHECK_THAT(refused(gguf_text{}.tensor("t", {4}, 0, 32).content()), ContainsSubstring("may be truncated"));
  CHECK_THAT(refused(gguf_text{}.tensor("t", {4}, 0, ~std::uint64_t{31}).content()),
             ContainsSubstring("beyond the end"));
  for (const std::uint32_t alignment : {0u, 4u, 24u, 1u << 21})
    CHECK_THAT(refused(gguf_text{}.entry("general.alignment", 4, alignment).content()),
               ContainsSubstring("power of two"));
  CHECK_THAT(refused(gguf_text{}.entry("general.alignment", "32").content()), ContainsSubstring("power of two"));
}

}  // namespace trimtab::test::gguf_tests
