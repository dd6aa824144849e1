#include "io/paths.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "abi/status.hpp"
#include "base/test_folder.hpp"
#include "nls/utf.hpp"

namespace bobbin::io {
namespace {

const CurrentDirectories kHere = [] {
  CurrentDirectories here{.current = u"Z:\\home\\me\\"};
  here.of_drive[2] = u"C:\\work\\";
  return here;
}();

std::string full(std::u16string_view path) {
  const auto answer = full_path(path, kHere);
  return answer ? nls::to_utf8(*answer) : "error";
}

TEST(FullPath, KnowsEveryForm) {
  EXPECT_EQ(full(u"a.txt"), "Z:\\home\\me\\a.txt");
  EXPECT_EQ(full(u"\\a.txt"), "Z:\\a.txt");
  EXPECT_EQ(full(u"c:a.txt"), "C:\\work\\a.txt");
  EXPECT_EQ(full(u"d:a.txt"), "d:\\a.txt");
  EXPECT_EQ(full(u"z:a.txt"), "Z:\\home\\me\\a.txt");
  EXPECT_EQ(full(u"C:/x//y\\z"), "C:\\x\\y\\z");
  EXPECT_EQ(full(u"\\\\server\\share\\..\\x"), "\\\\server\\share\\x");
  EXPECT_EQ(full(u"\\\\?\\C:\\a\\..\\b"), "\\\\?\\C:\\b");
  EXPECT_EQ(full(u""), "error");
}

TEST(FullPath, AppliesDots) {
  EXPECT_EQ(full(u"."), "Z:\\home\\me");
  EXPECT_EQ(full(u".."), "Z:\\home");
  EXPECT_EQ(full(u"..\\..\\.."), "Z:\\");
  EXPECT_EQ(full(u"..\\"), "Z:\\home\\");
  EXPECT_EQ(full(u"a\\.\\b\\..\\c"), "Z:\\home\\me\\a\\c");
  EXPECT_EQ(full(u"C:\\..\\..\\x"), "C:\\x");
  EXPECT_EQ(full(u"z:"), "Z:\\home\\me");
}

TEST(FullPath, CutsTrailingDotsAndSpaces) {
  EXPECT_EQ(full(u"C:\\a. . "), "C:\\a");
  EXPECT_EQ(full(u"C:\\a.\\b"), "C:\\a\\b");
  EXPECT_EQ(full(u"C:\\a..\\b"), "C:\\a..\\b");
  EXPECT_EQ(full(u"C:\\a \\b"), "C:\\a \\b");
  EXPECT_EQ(full(u"C:\\a\\"), "C:\\a\\");
}

TEST(FullPath, NamesDevices) {
  EXPECT_EQ(full(u"nul"), "\\\\.\\nul");
  EXPECT_EQ(full(u"C:\\x\\NUL"), "\\\\.\\NUL");
  EXPECT_EQ(full(u"CON:"), "\\\\.\\CON");
  EXPECT_EQ(full(u"nul.txt"), "Z:\\home\\me\\nul.txt");
}

TEST(Devices, AreRecognised) {
  EXPECT_EQ(device_of(u"NUL"), Device::null);
  EXPECT_EQ(device_of(u"\\\\.\\NUL"), Device::null);
  EXPECT_EQ(device_of(u"CONIN$"), Device::console_input);
  EXPECT_EQ(device_of(u"conout$"), Device::console_output);
  EXPECT_EQ(device_of(u"com3"), Device::other);
  EXPECT_EQ(device_of(u"com"), Device::none);
  EXPECT_EQ(device_of(u"null"), Device::none);
}

TEST(Wildcards, FollowDosRules) {
  EXPECT_TRUE(matches(u"*.*", u"noextension"));
  EXPECT_TRUE(matches(u"*", u"a.b"));
  EXPECT_TRUE(matches(u"*.TXT", u"a.b.txt"));
  EXPECT_FALSE(matches(u"*.txt", u"a.txt.b"));
  EXPECT_TRUE(matches(u"*.", u"noextension"));
  EXPECT_FALSE(matches(u"*.", u"a.txt"));
  EXPECT_TRUE(matches(u"a??", u"a"));
  EXPECT_TRUE(matches(u"a??.c", u"ab.c"));
  EXPECT_FALSE(matches(u"a?", u"abc"));
  EXPECT_TRUE(matches(u"foo.*", u"foo"));
  EXPECT_TRUE(matches(u"a*b*c", u"axxbyyc"));
  EXPECT_FALSE(matches(u"a*b*c", u"axxbyy"));
  EXPECT_TRUE(matches(u"\u00e4*", u"\u00c4rger"));
  EXPECT_FALSE(matches(u"", u"a"));
}

TEST(Wildcards, TakeBoundedTime) {
  std::u16string pattern;
  for (int i = 0; i < 100; ++i) pattern += u"*a";
  EXPECT_FALSE(matches(pattern + u"b", std::u16string(200, u'a')));
}

class Drives : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(root_ + "/Folder/inner");
    std::ofstream(root_ + "/Folder/Name.txt") << "x";
    std::ofstream(root_ + "/Folder/exact") << "x";
    std::ofstream(root_ + "/Folder/EXACT") << "x";
    std::ofstream(root_ + "/\xc3\x84rger") << "x";
    ASSERT_TRUE(drives_.map(u'c', root_));
  }

  std::string host(std::u16string_view path) {
    const auto where = drives_.locate(path);
    if (!where) return "status " + std::to_string(abi::win32_error(where.error().status));
    return (where->exists ? "" : "missing ") + where->host.substr(root_.size());
  }

  const test::TestFolder folder_;
  const std::string root_ = folder_.path();
  DriveTable drives_;
};

TEST_F(Drives, FindNamesWhateverTheirCase) {
  EXPECT_EQ(host(u"C:\\Folder\\Name.txt"), "/Folder/Name.txt");
  EXPECT_EQ(host(u"c:\\FOLDER\\name.TXT"), "/Folder/Name.txt");
  EXPECT_EQ(host(u"C:\\\u00e4RGER"), "/\xc3\x84rger");
}

TEST_F(Drives, PreferTheExactName) {
  EXPECT_EQ(host(u"C:\\folder\\exact"), "/Folder/exact");
  EXPECT_EQ(host(u"C:\\folder\\EXACT"), "/Folder/EXACT");
}

TEST_F(Drives, TellAMissingFileFromAMissingFolder) {
  EXPECT_EQ(host(u"C:\\folder\\none"), "missing /Folder/none");
  EXPECT_EQ(host(u"C:\\none\\none"), "status 3");
  EXPECT_EQ(host(u"C:\\folder\\name.txt\\x"), "status 3");
  EXPECT_EQ(host(u"Q:\\x"), "status 3");
  EXPECT_EQ(host(u"C:\\folder\\a?b"), "status 123");
  EXPECT_EQ(host(u"C:\\folder\\file:stream"), "status 123");
  EXPECT_EQ(host(u"\\\\server\\share\\x"), "status 53");
}

TEST_F(Drives, NameHostPathsByTheNearestDrive) {
  EXPECT_EQ(drives_.to_windows(root_ + "/Folder/inner"), u"C:\\Folder\\inner");
  EXPECT_EQ(drives_.to_windows(root_), u"C:\\");
  EXPECT_EQ(drives_.to_windows("/"), u"Z:\\");
  EXPECT_EQ(drives_.to_windows(root_ + "x"), u"Z:\\tmp\\" + nls::to_utf16(root_.substr(5) + "x"));
  EXPECT_EQ(drives_.mask(), 1u << 2 | 1u << 25);
}

TEST_F(Drives, RefuseAMissingFolder) {
  EXPECT_FALSE(drives_.map(u'D', root_ + "/none"));
  EXPECT_FALSE(drives_.map(u'1', root_));
}

TEST_F(Drives, KeepNamesThatAreNoUtf8) {
  const std::string name =
      "/bad\xff"
      "name";
  std::ofstream(root_ + name) << "x";
  EXPECT_EQ(host(drives_.to_windows(root_ + name)), name);
}

}  // namespace
}  // namespace bobbin::io
