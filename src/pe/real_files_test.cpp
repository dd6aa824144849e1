// DLLs that nobody here made. What their tables hold in full is compared with llvm-readobj by
// tests/inspect_test.py.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "pe/file.hpp"

namespace bobbin::pe {
namespace {

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path << " is missing: install the packages named in src/pe/tests.cmake";
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto* raw = reinterpret_cast<const std::byte*>(text.data());
  return {raw, raw + text.size()};
}

class RealFile : public testing::TestWithParam<std::string> {};

TEST_P(RealFile, EveryTableIsAccepted) {
  const auto bytes = read_file(GetParam());
  const auto file = File::parse(bytes, GetParam());
  ASSERT_TRUE(file) << file.error().message();
  const auto imports = file->imports();
  ASSERT_TRUE(imports) << imports.error().message();
  EXPECT_FALSE(imports->empty());
  EXPECT_TRUE(file->delay_imports());
  const auto relocations = file->relocations();
  ASSERT_TRUE(relocations) << relocations.error().message();
  EXPECT_FALSE(relocations->empty());
  EXPECT_GT(file->exceptions()->size, 0u);

  const auto exports = file->exports();
  ASSERT_TRUE(exports) << exports.error().message();
  const auto all = exports->all();
  EXPECT_FALSE(all.empty());
  for (const auto& e : all) {
    EXPECT_EQ(exports->find(e.ordinal)->rva, e.target.rva);
    if (e.name.empty()) continue;
    EXPECT_EQ(exports->find(e.name)->rva, e.target.rva) << e.name;
  }
}

TEST_P(RealFile, TlsOfTheMingwRuntimeHasItsTwoCallbacks) {
  const auto bytes = read_file(GetParam());
  const auto file = File::parse(bytes, GetParam());
  ASSERT_TRUE(file);
  const auto tls = file->tls();
  ASSERT_TRUE(tls) << tls.error().message();
  ASSERT_TRUE(*tls);
  const auto callbacks = file->tls_callbacks(**tls);
  ASSERT_TRUE(callbacks) << callbacks.error().message();
  EXPECT_GE(callbacks->size(), 2u);  // __dyn_tls_init and __dyn_tls_dtor
}

INSTANTIATE_TEST_SUITE_P(Mingw, RealFile,
                         testing::Values(BOBBIN_MINGW_GCC_DLLS "/libgcc_s_seh-1.dll",
                                         BOBBIN_MINGW_GCC_DLLS "/libstdc++-6.dll",
                                         BOBBIN_MINGW_GCC_DLLS "/libgfortran-5.dll",
                                         BOBBIN_MINGW_DLLS "/libwinpthread-1.dll",
                                         BOBBIN_MINGW_DLLS "/zlib1.dll"));

}  // namespace
}  // namespace bobbin::pe
