// SPDX-License-Identifier: Apache-2.0
#include <trimtab/core/settings.hpp>

#include "support/catch.hpp"

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace trimtab::test::settings_tests {

std::vector<std::string> texts_of(const auto& of) {
  std::vector<std::string> texts;
  for (const named_setting& s : settings_of(of)) texts.push_back(s.name + "=" + s.value);
  return texts;
}

enum class kind { one, two };

struct plain {
  double margin = 0.1;
  int steps = 3;
  bool on = true;
  kind of = kind::two;
};

struct with_arrays {
  std::array<double, 3> weights{1, 0.5, 0.25};
  int steps = 3;
  float limits[2] = {-1, 1};
  plain inner = {};
};

struct with_maybe {
  std::optional<double> limit = 1.0;
};
struct with_pointer {
  double margin = 1;
  const float* table = nullptr;
};
struct tag {};
struct with_tag {
  double margin = 0.5;
  [[no_unique_address]] tag of;
};
struct two_numbers {
  double a = 1;
  int b = 2;
};
struct derived : two_numbers {};
struct derived_with_more : two_numbers {
  double c = 3;
};
struct of_three {
  double a = 1, b = 2, c = 3;
};
struct of_five {
  double a = 1, b = 2, c = 3, d = 4, e = 5;
};
struct of_six {
  double a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
};
struct of_seven {
  double a, b, c, d, e, f, g;
};
struct with_pair {
  std::pair<double, int> both = {1.0, 2};
};
struct named {
  std::optional<double> limit = 1.0;
  constexpr void each_setting(auto&& f) const { f("limit", *limit); }
};
struct empty {};

TEST_CASE("The numbers of a plain struct are settings, in order") {
  CHECK(texts_of(plain{}) == std::vector<std::string>{"0=0.1", "1=3", "2=on", "3=1"});
  CHECK(texts_of(empty{}).empty());
  CHECK(texts_of(two_numbers{}) == std::vector<std::string>{"0=1", "1=2"});
  CHECK(texts_of(of_three{}) == std::vector<std::string>{"0=1", "1=2", "2=3"});
  CHECK(texts_of(of_five{}) == std::vector<std::string>{"0=1", "1=2", "2=3", "3=4", "4=5"});
  CHECK(texts_of(of_six{}) == std::vector<std::string>{"0=1", "1=2", "2=3", "3=4", "4=5", "5=6"});
}

TEST_CASE("So are those in its arrays and in the structs that it holds") {
  CHECK(texts_of(with_arrays{}) ==
        std::vector<std::string>{"0=1", "1=0.5", "2=0.25", "3=3", "4=-1", "5=1", "6=0.1", "7=3", "8=on", "9=1"});
}

TEST_CASE("Empty members have none, and a struct may have the numbers of its base") {
  CHECK(texts_of(with_tag{}) == std::vector<std::string>{"0=0.5"});
  CHECK(texts_of(derived{}) == std::vector<std::string>{"0=1", "1=2"});
}

TEST_CASE("A type with other members has no settings unless it names them") {
  STATIC_REQUIRE(states_settings<with_arrays>);
  STATIC_REQUIRE(states_settings<empty>);
  STATIC_REQUIRE(states_settings<named>);
  STATIC_REQUIRE_FALSE(states_settings<with_maybe>);
  STATIC_REQUIRE_FALSE(states_settings<with_pair>);
  STATIC_REQUIRE_FALSE(states_settings<std::vector<double>>);
  STATIC_REQUIRE_FALSE(states_settings<with_pointer>);
  STATIC_REQUIRE_FALSE(states_settings<derived_with_more>);
  STATIC_REQUIRE_FALSE(states_settings<of_seven>);
  CHECK(texts_of(with_maybe{}).empty());
  CHECK(texts_of(with_pointer{}).empty());
  CHECK(texts_of(named{}) == std::vector<std::string>{"limit=1"});
}

}  // namespace trimtab::test::settings_tests
