// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/version.hpp>

#include <string>

/// How to cite the library and the method that it implements.

namespace trimtab::report {

/// Two BibTeX entries: this version of trimtab, and the paper.
inline std::string citation() {
  const std::string version_text(version);
  return "@misc{trimtab,\n"
         "  key   = {trimtab},\n"
         "  title = {trimtab " +
         version_text +
         ": small interventions that steer language models},\n"
         "  note  = {C++ library and program, version " +
         version_text +
         "}\n"
         "}\n"
         "@inproceedings{stoehr2024activation,\n"
         "  title     = {Activation Scaling for Steering and Interpreting Language Models},\n"
         "  author    = {Stoehr, Niklas and Du, Kevin and Sn{\\ae}bjarnarson, V{\\'e}steinn and West, Robert and\n"
         "               Cotterell, Ryan and Schein, Aaron},\n"
         "  booktitle = {Findings of the Association for Computational Linguistics: EMNLP 2024},\n"
         "  pages     = {8189--8200},\n"
         "  year      = {2024},\n"
         "  doi       = {10.18653/v1/2024.findings-emnlp.479}\n"
         "}\n";
}

}  // namespace trimtab::report
