#include "loader/search.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/test_folder.hpp"

namespace bobbin::loader {
namespace {

namespace fs = std::filesystem;

TEST(Names, GetAnExtensionUnlessTheyHaveOne) {
  EXPECT_EQ(with_extension("foo"), "foo.dll");
  EXPECT_EQ(with_extension("foo."), "foo");
  EXPECT_EQ(with_extension("foo.bar"), "foo.bar");
  EXPECT_EQ(with_extension("a.b\\foo"), "a.b\\foo.dll");
}

TEST(Names, AreTakenApart) {
  EXPECT_TRUE(is_path("a/b") && is_path("a\\b") && !is_path("a.dll"));
  EXPECT_EQ(base_of("C:\\x/foo.dll"), "foo.dll");
  EXPECT_EQ(base_of("foo.dll"), "foo.dll");
  EXPECT_EQ(folder_of("/a/b.dll"), "/a");
  EXPECT_EQ(folder_of("/b.dll"), "/");
  EXPECT_EQ(folder_of("b.dll"), ".");
  EXPECT_EQ(lower("KERNEL32.Dll\xC3\x84"), "kernel32.dll\xC3\x84");  // ASCII only
}

TEST(Names, OfNativesMayHaveTheirFolder) {
  EXPECT_TRUE(is_native_path("C:\\Windows\\System32\\kernel32.dll"));
  EXPECT_TRUE(is_native_path("c:/windows/SYSTEM32/ntdll.dll"));
  EXPECT_FALSE(is_native_path("C:\\Windows\\kernel32.dll"));
  EXPECT_FALSE(is_native_path("kernel32.dll"));
}

TEST(ApiSets, AreTheirHosts) {
  EXPECT_EQ(resolve_api_set("api-ms-win-crt-runtime-l1-1-0.dll"), "ucrtbase.dll");
  EXPECT_EQ(resolve_api_set("api-ms-win-core-fibers-l1-1-0.dll"), "kernel32.dll");
  EXPECT_EQ(resolve_api_set("ext-ms-win-ntuser-window-l1-1-0.dll"), "kernel32.dll");
  EXPECT_EQ(resolve_api_set("api-ms.dll"), "api-ms.dll");
  EXPECT_EQ(resolve_api_set("foo.dll"), "foo.dll");
}

class FoldersTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"one", "two"}) fs::create_directory(root / name);
  }
  std::string make(const std::string& name) {
    std::ofstream(root / name) << name;
    return root / name;
  }
  const test::TestFolder own;
  const fs::path& root = own.path();
};

TEST_F(FoldersTest, TheFirstOneCountsAndLetterCaseDoesNot) {
  const Folders folders = {root / "one", root / "missing", root / "two"};
  EXPECT_FALSE(find_in_folders(folders, "foo.dll"));
  const std::string second = make("two/foo.dll");
  EXPECT_EQ(find_in_folders(folders, "FOO.dll"), second);
  const std::string first = make("one/Foo.DLL");
  EXPECT_EQ(find_in_folders(folders, "foo.dll"), first);
  const std::string exact = make("one/foo.dll");
  EXPECT_EQ(find_in_folders(folders, "foo.dll"), exact);
}

class SearchOrder : public testing::Test {
 protected:
  SearchOrder() {
    path.program = "/program";
    path.extra = {"/extra1", "/extra2"};
    path.system = "/system";
  }
  SearchPath path;
};

TEST_F(SearchOrder, IsTheStandardOneByDefault) {
  EXPECT_EQ(path.by_default(), (Folders{"/program", "/extra1", "/extra2", "/system", "."}));
  EXPECT_EQ(describe(path.by_default()), "/program, /extra1, /extra2, /system, the current folder");
  path.system.clear();
  EXPECT_EQ(path.by_default(), (Folders{"/program", "/extra1", "/extra2", "."}));
}

TEST_F(SearchOrder, SetDllDirectoryTakesThePlaceOfTheCurrentFolder) {
  path.dll_directory = "/set";
  path.current_folder = false;
  EXPECT_EQ(path.standard(), (Folders{"/program", "/set", "/extra1", "/extra2", "/system"}));
}

TEST_F(SearchOrder, AnAlteredOneHasTheDllsFolderInTheProgramsPlace) {
  EXPECT_EQ(path.standard("/own"), (Folders{"/own", "/extra1", "/extra2", "/system", "."}));
}

TEST_F(SearchOrder, PlacesAreTheOnesThatWereChosen) {
  path.dll_directory = "/set";
  EXPECT_NE(path.add("/added"), 0u);
  EXPECT_EQ(path.of({.own = true}, "/own"), (Folders{"/own"}));
  EXPECT_EQ(path.of({.own = true}, ""), Folders{});
  EXPECT_EQ(path.of({.program = true}, "/own"), (Folders{"/program", "/extra1", "/extra2"}));
  EXPECT_EQ(path.of({.user = true}, "/own"), (Folders{"/set", "/added"}));
  EXPECT_EQ(path.of({.system = true}, "/own"), (Folders{"/system"}));
  path.defaults = {.user = true, .system = true};
  EXPECT_EQ(path.by_default(), (Folders{"/set", "/added", "/system"}));
}

TEST_F(SearchOrder, AddedFoldersGoByTheirCookies) {
  const std::uintptr_t a = path.add("/a"), again = path.add("/a"), b = path.add("/b");
  EXPECT_EQ(path.by_default(), SearchPath(path).standard());  // searched only by who asks
  EXPECT_TRUE(path.remove(a));
  EXPECT_EQ(path.of({.user = true}, ""), (Folders{"/a", "/b"}));
  EXPECT_FALSE(path.remove(a));
  EXPECT_FALSE(path.remove(0));
  EXPECT_FALSE(path.remove(b + 1));
  EXPECT_TRUE(path.remove(b) && path.remove(again));
  EXPECT_EQ(path.of({.user = true}, ""), Folders{});
}

}  // namespace
}  // namespace bobbin::loader
