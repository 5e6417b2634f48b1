// SPDX-License-Identifier: Apache-2.0 A program that uses trimtab on a GPU: it runs a row function there, or gets a
// one-sentence error if there is no device.

#include <functional>
#include <trimtab/cuda.hpp>

#include <cstdio>

using namespace trimtab;

int main() {
  try {
    const cuda_backend<float> backend;
    const auto h = backend.upload(host_matrix<float>(3, 8).view());
    auto out = backend.allocate(24);
    backend.forward(gelu_tanh{}, 3, 8, each_row(name::h, h.view(3, 8)), each_row(name::out, out.view(3, 8)));
    return backend.download(out.view(3, 8)).values[23] == 0 ? 0 : 1;
  } catch (const error& e) {
    std::printf("%s\n", e.what());
    return e.kind() == error_kind::device and cuda::device_count() == 0 ? 0 : 1;
  }
}
