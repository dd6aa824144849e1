// The loader without a runtime: files are made by pe/builder.hpp, and hold no code. What a load refuses must
// leave everything as it was.
#include "loader/loader.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "abi/status.hpp"
#include "base/test_folder.hpp"
#include "loader/guard.hpp"
#include "memory/heaps.hpp"
#include "nls/utf.hpp"
#include "pe/builder.hpp"
#include "sync/critical_section.hpp"
#include "tls/record.hpp"

namespace bobbin::loader {
namespace {

namespace fs = std::filesystem;
using pe::test::Blob;
using pe::test::Builder;
using pe::test::TlsSpec;

void* fake(std::uintptr_t number) { return reinterpret_cast<void*>(number); }

const NativeExport kExports[] = {
    {"Zero", fake(0x10), 1},
    {"GetLastError", fake(0x20), 1, nullptr, &arch::bobbin_fast_GetLastError},
    {"Alpha", fake(0x30), 1},
};
const std::span<const NativeExport> kTables[] = {kExports};
const NativeDll kNatives[] = {{"native.dll", 1}};

// Free in an ordinary process, and above what the address sanitizer keeps for its shadow.
constexpr std::uint64_t kBase = 0x2000'4000'0000;

/// A DLL with TLS. `change` may break the directory: it gets the section and the directory's RVA in it.
/// Its directory is relocated if it cannot stand at its base.
std::vector<std::byte> tls_dll(const TlsSpec& spec,
                               const std::function<void(Builder&, Blob&, std::uint32_t)>& change = {},
                               const std::vector<std::string>& imports = {}) {
  Builder b;
  b.image_base = kBase;
  std::uint32_t at = 0;
  b.section(".rdata", pe::test::kRead, [](Blob& blob) { blob.zeros(16); });
  b.section(".data", pe::test::kRead | pe::test::kWrite, [&](Blob& blob) {
    if (!imports.empty()) {
      std::vector<pe::test::DllSpec> dlls;
      for (const std::string& name : imports) dlls.push_back({name, {}});
      b.imports(blob, dlls);
    }
    at = b.tls(blob, spec);
    if (change) change(b, blob, at);
  });
  b.section(".reloc", pe::test::kRead, [&](Blob& blob) {
    std::vector<pe::test::RelocationSpec> fields{{at}, {at + 8}, {at + 16}};
    if (!spec.callbacks.empty()) fields.push_back({at + 24});
    b.relocations(blob, fields);
  });
  return b.build();
}

class LoaderTest : public testing::Test {
 protected:
  void SetUp() override {
    sync::initialize(lock, 0);
    peb.LoaderLock = &lock;
    auto made = tls::Engine::create({}, peb.TlsBitmapBits, peb.TlsExpansionBitmapBits);
    ASSERT_TRUE(made);
    engine = std::move(*made);
    threads = std::make_unique<thread::Threads>(*engine, space, heaps, peb);
    Options options;
    options.search.extra = {folder};
    options.natives = kNatives;
    options.native_tables = kTables;
    options.windows_path = [](const std::string& host) {
      std::u16string path = u"Z:" + nls::to_utf16(host);
      std::ranges::replace(path, u'/', u'\\');
      return path;
    };
    options.host_path = [](std::u16string_view path) -> std::optional<std::string> {
      const std::string host = nls::to_utf8(path);
      return fs::exists(host) ? std::optional(host) : std::nullopt;
    };
    options.on_exit = [](std::uint32_t) {};
    loader = std::make_unique<Loader>(std::move(options), space, *engine, *threads, peb, lock);
    ASSERT_TRUE(threads->attach_current());
    ASSERT_TRUE(loader->start("/host"));
    threads->set_observer(loader.get());
  }
  void TearDown() override {
    loader->unload_all();
    threads->detach_current();
    loader.reset();
    threads.reset();
  }

  std::string write(const std::string& name, const std::vector<std::byte>& bytes) {
    const fs::path path = folder / name;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
    return path;
  }
  std::byte* load(const std::string& name) {
    auto base = loader->load(name);
    EXPECT_TRUE(base) << base.error().message();
    return base.value_or(nullptr);
  }
  /// What this thread's block of a module holds.
  std::string_view block_of(const std::byte* base, std::size_t size) {
    const auto module = loader->find_by_base(base);
    const char* block =
        static_cast<const char*>(abi::current_teb()->ThreadLocalStoragePointer[module->tls->index.value()]);
    return {block, size};
  }
  /// Loads what must be refused, with nothing changed; hands back the message.
  std::string refused(const std::string& name) {
    const std::size_t modules = loader->module_count(), allocations = space.allocations();
    void** const vector = abi::current_teb()->ThreadLocalStoragePointer;
    auto base = loader->load(name);
    EXPECT_FALSE(base);
    EXPECT_EQ(loader->module_count(), modules);
    EXPECT_EQ(space.allocations(), allocations);
    EXPECT_EQ(abi::current_teb()->ThreadLocalStoragePointer, vector);
    EXPECT_EQ(check_invariants(*engine), std::nullopt);
    return base ? "" : base.error().message();
  }

  const test::TestFolder own;
  const fs::path& folder = own.path();
  abi::PEB peb{};
  abi::RTL_CRITICAL_SECTION lock{};
  memory::AddressSpace space;
  memory::Heaps heaps;
  std::unique_ptr<tls::Engine> engine;
  std::unique_ptr<thread::Threads> threads;
  std::unique_ptr<Loader> loader;
};

void expect_named(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

// ---- natives and provided exports ------------------------------------------------------------------------

TEST_F(LoaderTest, NativesAreFoundByNameAndByOrdinalAlike) {
  const auto native = loader->find("NATIVE");
  ASSERT_TRUE(native);
  EXPECT_EQ(loader->procedure(native, "Zero").value(), fake(0x10));
  EXPECT_EQ(loader->procedure(native, 1).value(), fake(0x30));  // Alpha
  EXPECT_EQ(loader->procedure(native, 3).value(), fake(0x10));
  void* const fast = loader->procedure(native, "GetLastError").value();
  EXPECT_TRUE(native->contains(fast));
  EXPECT_EQ(loader->procedure(native, 2).value(), fast);
  EXPECT_EQ(loader->procedure(native, 0).error().status, abi::STATUS_ORDINAL_NOT_FOUND);
  EXPECT_EQ(loader->procedure(native, 4).error().status, abi::STATUS_ORDINAL_NOT_FOUND);
  EXPECT_EQ(loader->procedure(native, "Omega").error().status, abi::STATUS_ENTRYPOINT_NOT_FOUND);
}

TEST_F(LoaderTest, ProvidedExportsMakeADllOrStandInForNatives) {
  EXPECT_FALSE(loader->find("host.dll"));
  ASSERT_TRUE(loader->provide("Host", "f", fake(0x51)));
  ASSERT_TRUE(loader->provide("host.dll", "g", fake(0x52)));
  ASSERT_TRUE(loader->provide("native.dll", "Alpha", fake(0x53)));
  const auto host = loader->find("HOST.DLL");
  ASSERT_TRUE(host);
  EXPECT_EQ(loader->procedure(host, "f").value(), fake(0x51));
  EXPECT_EQ(loader->procedure(host, "g").value(), fake(0x52));
  EXPECT_FALSE(loader->procedure(host, "h"));
  const auto native = loader->find("native.dll");
  EXPECT_EQ(loader->procedure(native, "Alpha").value(), fake(0x53));
  EXPECT_EQ(loader->procedure(native, 1).value(), fake(0x53));
}

TEST_F(LoaderTest, WhatIsLoadedFromAFileIsNotProvided) {
  load(write("file.dll", tls_dll({.content = "x"})));
  const auto provided = loader->provide("file.dll", "f", fake(1));
  ASSERT_FALSE(provided);
  expect_named(provided.error().message(), "already loaded");
}

TEST_F(LoaderTest, FreeingWhatIsNotThereIsAnError) {
  std::byte* const base = load(write("file.dll", tls_dll({.content = "x"})));
  EXPECT_TRUE(loader->free(base));
  EXPECT_FALSE(loader->free(base));
  EXPECT_FALSE(loader->find_by_base(base));
  EXPECT_FALSE(loader->free(nullptr));
}

// ---- bad TLS directories ---------------------------------------------------------------------------------

class BadTls : public LoaderTest {
 protected:
  void SetUp() override {
    LoaderTest::SetUp();
    good = load(write("good.dll", tls_dll({.content = "good data"})));
  }
  void TearDown() override {
    EXPECT_EQ(block_of(good, 9), "good data");
    LoaderTest::TearDown();
  }
  /// Offsets of the directory's fields.
  static constexpr std::uint32_t kEnd = 8, kIndex = 16, kCallbacks = 24;
  /// A DLL with one field of its directory set to an RVA.
  std::string refused_with(std::uint32_t field, std::uint32_t rva) {
    return refused(
        write("bad.dll", tls_dll({.content = "bad"}, [&](Builder& b, Blob& blob, std::uint32_t at) {
                blob.patch(at + field, b.image_base + rva);
              })));
  }
  std::byte* good = nullptr;
};

TEST_F(BadTls, TemplateLargerThanTheImage) {
  expect_named(refused_with(kEnd, 0x1000'0000), "StartAddressOfRawData");
}

TEST_F(BadTls, EndBeforeStart) { expect_named(refused_with(kEnd, 0x1000), "EndAddressOfRawData"); }

TEST_F(BadTls, ReservedAlignment) {
  expect_named(refused(write("bad.dll", tls_dll({.content = "bad", .alignment_code = 15}))),
               "Characteristics");
}

TEST_F(BadTls, IndexOutsideTheImage) { expect_named(refused_with(kIndex, 0x10'0000), "AddressOfIndex"); }

TEST_F(BadTls, IndexInAReadOnlySection) {
  expect_named(refused_with(kIndex, 0x1004), "AddressOfIndex");
  expect_named(refused_with(kIndex, 0x1FFE), "AddressOfIndex");  // half of it
  expect_named(refused_with(kIndex, 0x40), "AddressOfIndex");    // the headers
}

TEST_F(BadTls, CallbacksOutsideTheImage) {
  expect_named(refused_with(kCallbacks, 0x10'0000), "AddressOfCallBacks");
}

TEST_F(BadTls, CallbacksWithoutEnd) {
  Builder b;
  b.image_base = kBase + 0x1000'0000;  // where it can stay: its callbacks are not relocated
  std::uint32_t at = 0;
  b.section(".data", pe::test::kRead | pe::test::kWrite, [&](Blob& blob) {
    at = b.tls(blob, {.content = "bad", .callbacks = {0x1000}});
    blob.patch(at + kCallbacks, b.image_base + 0x2000);
  });
  b.section(".last", pe::test::kRead, [&](Blob& blob) {  // one page of callbacks, and the image is over
    while (blob.bytes().size() < pe::kPageSize) blob.put(b.image_base + 0x1000);
  });
  expect_named(refused(write("bad.dll", b.build())), "AddressOfCallBacks) does not end");
}

TEST_F(BadTls, ACallbackOutsideTheImage) {
  const auto bytes = tls_dll({.content = "bad", .callbacks = {0x10'0000}});
  expect_named(refused(write("bad.dll", bytes)), "AddressOfCallBacks) lies outside");
}

TEST_F(BadTls, OneOfSeveralInALoad) {
  write("fine.dll", tls_dll({.content = "fine"}));
  write("bad.dll", tls_dll({.content = "bad", .alignment_code = 15}));
  const std::string top = write("top.dll", tls_dll({.content = "top"}, {}, {"fine.dll", "bad.dll"}));
  expect_named(refused(top), "bad.dll");
  EXPECT_FALSE(loader->find("fine.dll"));
}

TEST_F(BadTls, IsNobodysBusinessIfItIsNotUsed) {
  const auto bytes = tls_dll({.content = "bad", .alignment_code = 15});
  auto base = loader->load(write("bad.dll", bytes), {.resolve = false});
  ASSERT_TRUE(base) << base.error().message();
  EXPECT_TRUE(loader->free(*base));
}

// ---- more modules than a vector holds --------------------------------------------------------------------

class ManyModules : public LoaderTest {
 protected:
  /// Another name for one and the same DLL, which makes it another DLL.
  std::string another() {
    const std::string path = folder / fmt::format("copy{}.dll", count++);
    fs::create_hard_link(file, path);
    return path;
  }
  std::string file;
  int count = 0;
};

TEST_F(ManyModules, AreRefusedBeyondTheVectorsCapacity) {
  file = write("one.dll", tls_dll({.content = "template"}));
  const std::string top = write("top.dll", tls_dll({.content = "top"}, {}, {"copy0.dll", "below.dll"}));
  fs::create_hard_link(file, folder / "below.dll");
  std::vector<std::byte*> loaded;
  for (std::uint32_t i = 0; i < tls::kVectorCapacity; ++i) {
    loaded.push_back(load(another()));
    ASSERT_NE(loaded.back(), nullptr) << i;
  }
  expect_named(refused(another()), fmt::format("all {} indices", tls::kVectorCapacity));
  EXPECT_EQ(block_of(loaded.front(), 8), "template");
  EXPECT_EQ(block_of(loaded.back(), 8), "template");

  ASSERT_TRUE(loader->free(loaded.back()));
  loaded.pop_back();
  expect_named(refused(top), "indices");  // it and what it needs want two, and there is one
  EXPECT_FALSE(loader->find("below.dll"));
  loaded.push_back(load(another()));
  EXPECT_EQ(block_of(loaded.back(), 8), "template");
}

}  // namespace
}  // namespace bobbin::loader
