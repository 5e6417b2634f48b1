# SPDX-License-Identifier: Apache-2.0
"""Conan 2 recipe that packages the headers of the checkout that it is part of."""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load

required_conan_version = ">=2.0"


class Trimtab(ConanFile):
    name = "trimtab"
    description = "Learned interventions on the activations of GPT-2 and Pythia, a header-only C++20 library"
    license = "Apache-2.0"
    topics = ("interpretability", "language-models", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    @property
    def _checkout(self):
        return os.path.join(self.recipe_folder, "..", "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._checkout, "include", "trimtab", "core", "version.hpp"))
        self.version = re.search(r'version = "([0-9.]+)"', header).group(1)

    def export_sources(self):
        copy(self, "LICENSE", self._checkout, self.export_sources_folder)
        copy(self, "include/*", self._checkout, self.export_sources_folder)

    def requirements(self):
        for reference in ("eigen/3.4.0", "nlohmann_json/3.11.3", "pcre2/10.42", "range-v3/0.12.0", "utf8proc/2.8.0"):
            self.requires(reference, transitive_headers=True, transitive_libs=True)

    def validate(self):
        if self.settings.get_safe("compiler.cppstd"):
            check_min_cppstd(self, 20)

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        for pattern in ("*.hpp", "*.cuh"):
            copy(self, pattern, os.path.join(self.source_folder, "include"),
                 os.path.join(self.package_folder, "include"))

    def package_id(self):
        self.info.clear()

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_file_name", "trimtab")
        self.cpp_info.set_property("cmake_target_name", "trimtab::trimtab")
        self.cpp_info.cxxflags = ["-fopenmp-simd"]
        if self.settings.os in ("Linux", "FreeBSD"):
            self.cpp_info.system_libs = ["pthread"]
