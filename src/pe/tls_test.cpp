#include <gtest/gtest.h>

#include "pe/builder.hpp"
#include "pe/file.hpp"

namespace bobbin::pe {
namespace {

using test::Blob;
using test::Builder;
using test::poke;

constexpr std::uint64_t kBase = 0x180000000;

struct Fixture {
  std::vector<std::byte> bytes;
  std::size_t directory = 0;  ///< file offset of the TLS directory

  explicit Fixture(const test::TlsSpec& spec) {
    Builder b;
    b.section(".text", test::kRead | test::kExecute, [](Blob& blob) { blob.zeros(16); });
    const std::uint32_t start = 0x2000;
    std::uint32_t at = 0;
    b.section(".tls", test::kRead | test::kWrite, [&](Blob& blob) { at = b.tls(blob, spec); });
    bytes = b.build();
    directory = 0x400 + (at - start);
  }
  [[nodiscard]] File file() const { return File::parse(bytes, "test.dll").value(); }
  [[nodiscard]] Result<std::optional<TlsDirectory>> tls() const { return file().tls(); }
  [[nodiscard]] std::string error() const {
    const auto result = tls();
    return result ? "" : result.error().message();
  }
  template <class T>
  Fixture with(std::size_t field, T value) const {
    Fixture copy = *this;
    poke(copy.bytes, directory + field, value);
    return copy;
  }
};

TEST(Tls, IsReadAsWritten) {
  const Fixture f(
      {.content = "template", .alignment_code = 7, .callbacks = {0x1004, 0x1008}, .zero_fill = 99});
  const auto tls = f.tls();
  ASSERT_TRUE(tls) << tls.error().message();
  ASSERT_TRUE(*tls);
  EXPECT_EQ((*tls)->template_begin, Rva{0x2000});
  EXPECT_EQ((*tls)->template_size, 8u);
  EXPECT_EQ((*tls)->alignment, 64u);
  EXPECT_EQ((*tls)->zero_fill, 99u);
  const auto callbacks = f.file().tls_callbacks(**tls);
  ASSERT_TRUE(callbacks);
  EXPECT_EQ(*callbacks, (std::vector<Rva>{{0x1004}, {0x1008}}));
}

TEST(Tls, AbsentDirectoryIsNone) {
  Builder b;
  const auto bytes = b.build();
  EXPECT_FALSE(File::parse(bytes, "test.dll")->tls().value());
}

TEST(Tls, EmptyTemplateAndNoCallbacksAreFine) {
  const Fixture f({.content = ""});
  const auto tls = f.tls().value().value();
  EXPECT_EQ(tls.template_size, 0u);
  EXPECT_EQ(tls.alignment, 0u);
  EXPECT_TRUE(f.file().tls_callbacks(tls)->empty());
  EXPECT_TRUE(f.with(0, std::uint64_t{0}).with(8, std::uint64_t{0}).tls());
}

TEST(Tls, TemplateMustLieInTheImageInOrder) {
  const Fixture f({.content = "template"});
  EXPECT_NE(f.with(8, kBase + 0x1FFF).error().find("ends before it starts"), std::string::npos);
  EXPECT_NE(f.with(8, kBase + 0x3001).error().find("leaves the image"), std::string::npos);
  EXPECT_NE(f.with(8, ~std::uint64_t{0}).error().find("leaves the image"), std::string::npos);
  EXPECT_NE(f.with(0, std::uint64_t{0}).error().find("leaves the image"), std::string::npos);
  EXPECT_TRUE(f.with(8, kBase + 0x3000).tls());  // up to the end of the section's last page
}

TEST(Tls, IndexMustFitInTheImage) {
  const Fixture f({.content = "template"});
  EXPECT_NE(f.with(16, std::uint64_t{0}).error().find("AddressOfIndex"), std::string::npos);
  EXPECT_NE(f.with(16, kBase + 0x2FFD).error().find("AddressOfIndex"), std::string::npos);
  EXPECT_NE(f.with(16, kBase - 1).error().find("AddressOfIndex"), std::string::npos);
  EXPECT_TRUE(f.with(16, kBase + 0x2FFC).tls());
  EXPECT_FALSE(f.tls().value()->index_read_only);
  EXPECT_TRUE(f.with(16, kBase + 0x1000).tls().value()->index_read_only);  // the loader refuses it
  EXPECT_TRUE(f.with(16, kBase + 0x1FFE).tls().value()->index_read_only);  // half of it
}

TEST(Tls, CallbackArrayMustEndInTheImage) {
  const Fixture f({.content = "template", .callbacks = {0x1004}});
  EXPECT_NE(f.with(24, kBase + 0x2FFC).error().find("AddressOfCallBacks"), std::string::npos);

  const auto at_template = f.with(24, kBase + 0x2000);  // its text is no address
  EXPECT_FALSE(at_template.file().tls_callbacks(at_template.tls().value().value()));

  Builder b;  // a page full of callbacks and no end
  b.section(".text", test::kRead | test::kWrite, [](Blob& blob) {
    while (blob.bytes().size() < kPageSize) blob.put(kBase + 0x1000);
  });
  b.section(".tls", test::kRead | test::kWrite, [&](Blob& blob) {
    b.tls(blob, {.content = "x", .callbacks = {0x1000}});
    blob.patch(blob.rva() - 16, kBase + 0x1000);
  });
  const auto bytes = b.build();
  const auto file = File::parse(bytes, "test.dll").value();
  // The array runs on into the section behind it, which does not hold addresses.
  EXPECT_FALSE(file.tls_callbacks(file.tls().value().value()));
}

TEST(Tls, AlignmentCodes) {
  for (std::uint32_t code = 1; code <= 14; ++code) {
    EXPECT_EQ(Fixture({.content = "x", .alignment_code = code}).tls().value()->alignment, 1u << (code - 1));
  }
  EXPECT_NE(Fixture({.content = "x", .alignment_code = 15}).error().find("alignment code 15"),
            std::string::npos);
}

TEST(Tls, DirectoryMustLieInTheImage) {
  Builder b;
  b.section(".tls", test::kRead, [](Blob& blob) { blob.zeros(16); });
  b.directory(Directory::tls, 0x1FE0, 40);
  const auto bytes = b.build();
  EXPECT_FALSE(File::parse(bytes, "test.dll")->tls());
}

}  // namespace
}  // namespace bobbin::pe
