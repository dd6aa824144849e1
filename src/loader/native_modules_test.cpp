#include "loader/native_modules.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "pe/file.hpp"

namespace bobbin::loader {
namespace {

constexpr std::uint16_t kA = 1, kB = 2;

void* fake(std::uintptr_t number) { return reinterpret_cast<void*>(number); }

const NativeExport kFirst[] = {
    {"GetModuleHandleW", fake(1), kA},
    {"Alpha", fake(2), kA | kB},
    {"GetModuleHandleA", fake(3), kA},
};
const NativeExport kSecond[] = {
    {"Both", fake(4), kA},
    {"GetModule", fake(5), kB},
    {"Both", fake(6), kB},
};
const std::span<const NativeExport> kTables[] = {kFirst, kSecond};

TEST(NativeTable, FindsByNameAmongTheDllsAskedFor) {
  const NativeTable table(kTables);
  EXPECT_EQ(table.find("GetModuleHandleW", kA)->address, fake(1));
  EXPECT_EQ(table.find("GetModuleHandleA", kA)->address, fake(3));
  EXPECT_EQ(table.find("GetModule", kB)->address, fake(5));
  EXPECT_EQ(table.find("Both", kA)->address, fake(4));
  EXPECT_EQ(table.find("Both", kB)->address, fake(6));
  EXPECT_EQ(table.find("Alpha", kB), table.find("Alpha", kA));
  EXPECT_EQ(table.find("GetModule", kA), nullptr);
  for (const char* none : {"", "A", "GetModul", "GetModuleHandle", "GetModuleHandleX", "Zulu"}) {
    EXPECT_EQ(table.find(none, kA | kB), nullptr) << none;
  }
  EXPECT_EQ(NativeTable({}).find("Alpha", kA), nullptr);
}

TEST(NativeTable, OrdinalsCountTheNamesInOrder) {
  const NativeTable table(kTables);
  for (const std::uint16_t dlls : {kA, kB}) {
    const auto all = table.of(dlls);
    EXPECT_EQ(all.size(), dlls == kA ? 4u : 3u);
    for (std::uint32_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(table.find(i + 1, dlls), all[i]);
    }
    EXPECT_TRUE(std::ranges::is_sorted(all, {}, [](const auto* one) { return std::string_view(one->name); }));
    EXPECT_EQ(table.find(std::uint32_t{0}, dlls), nullptr);
    EXPECT_EQ(table.find(static_cast<std::uint32_t>(all.size()) + 1, dlls), nullptr);
  }
}

class SyntheticTest : public testing::Test {
 protected:
  static Result<pe::File> parse(const SyntheticImage& image) {
    return pe::File::parse({image.base(), image.size()}, "synthetic.dll", pe::Layout::mapped);
  }
  memory::AddressSpace space;
};

TEST_F(SyntheticTest, IsAPeFileWhoseExportsLeadToTheNatives) {
  const SyntheticImage::Symbol symbols[] = {
      {"Alpha", fake(0x1122334455667788), nullptr},
      {"GetLastError", fake(0x42), &arch::bobbin_fast_GetLastError},
      {"Omega", fake(0x43), nullptr},
      {"TlsGetValue", fake(0x44), &arch::bobbin_fast_TlsGetValue},
  };
  const std::size_t before = space.allocations();
  {
    const auto image = SyntheticImage::make(space, "some.dll", symbols, true);
    ASSERT_TRUE(image) << image.error().message();
    const auto file = parse(*image);
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_TRUE(file->header().is_dll());
    EXPECT_EQ(file->header().image_base, reinterpret_cast<std::uint64_t>(image->base()));
    EXPECT_EQ(file->header().image_size, image->size());
    const auto exports = file->exports();
    ASSERT_TRUE(exports) << exports.error().message();
    EXPECT_EQ(exports->dll_name(), "some.dll");
    const auto all = exports->all();
    ASSERT_EQ(all.size(), std::size(symbols));
    for (std::uint32_t i = 0; i < all.size(); ++i) {
      const auto& symbol = symbols[i];
      EXPECT_EQ(all[i].name, symbol.name);
      EXPECT_EQ(all[i].ordinal, i + 1);
      EXPECT_EQ(exports->find(symbol.name)->rva, all[i].target.rva);
      EXPECT_EQ(exports->find(i + 1)->rva, all[i].target.rva);
      const std::byte* code = image->entry(i);
      EXPECT_EQ(code, image->base() + all[i].target.rva.value);
      EXPECT_EQ(space.query(code).protect, memory::kExecuteRead);
      if (symbol.fast != nullptr) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(code) % 64, 0u);
        EXPECT_EQ(std::memcmp(code, symbol.fast->code().data(), symbol.fast->size), 0);
        code += symbol.fast->size;
      }
      std::byte jump[12] = {std::byte{0x48}, std::byte{0xB8}};  // movabs rax, address
      std::memcpy(jump + 2, &symbol.address, sizeof symbol.address);
      jump[10] = std::byte{0xFF};  // jmp rax
      jump[11] = std::byte{0xE0};
      EXPECT_EQ(std::memcmp(code, jump, sizeof jump), 0) << symbol.name;
    }
    EXPECT_EQ(space.query(image->base()).protect, memory::kReadOnly);
  }
  EXPECT_EQ(space.allocations(), before);
}

TEST_F(SyntheticTest, AProgramExportsNothing) {
  const auto image = SyntheticImage::make(space, "", {}, false);
  ASSERT_TRUE(image);
  const auto file = parse(*image);
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_FALSE(file->header().is_dll());
  EXPECT_TRUE(file->exports()->all().empty());
}

}  // namespace
}  // namespace bobbin::loader
